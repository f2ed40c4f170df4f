"""discovery.reports: what is counted and what reaches the log."""

from __future__ import annotations

import logging

import pytest

from ipcpy.discovery import reports as module
from ipcpy.discovery.reports import Reports


def said(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [
        record.getMessage() for record in caplog.records if record.name == module.__name__ and record.levelno >= level
    ]


def test_of_each_cause_only_the_first_is_logged_and_all_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    reports = Reports()
    for number in range(5):
        reports.count("malformed", f"packet {number}")
    reports.count("address", "224.0.0.1")
    assert reports.counters == {"malformed": 5, "address": 1}
    assert len(said(caplog)) == 2
    assert "malformed" in said(caplog)[0] and "packet 0" in said(caplog)[0]


def test_what_is_nothing_to_worry_about_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    reports = Reports()
    reports.count("own", "")
    reports.count("domain", "elsewhere")
    assert said(caplog) == []
    assert len(said(caplog, logging.DEBUG)) == 2


def test_a_long_detail_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    Reports().count("malformed", "x" * 10_000)
    assert "x" * 200 in said(caplog)[0] and "x" * 201 not in said(caplog)[0]


def test_a_callback_that_failed_is_shown_once_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    reports = Reports()
    for _ in range(3):
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            reports.count_callback()
    assert reports.counters["callback"] == 3
    shown = [record.exc_info for record in caplog.records]
    assert len(shown) == 1 and shown[0] is not None and shown[0][0] is ZeroDivisionError


def test_each_reason_why_it_does_not_work_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    reports = Reports()
    for reason in ("taken", "taken", "refused", "taken"):
        reports.fail(reason)
        assert reports.error == reason
    assert len(said(caplog)) == 2


def test_reasons_that_are_ever_new_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    reports = Reports()
    for number in range(100):
        reports.fail(f"reason {number}")
    assert len(said(caplog)) == module.MAX_REASONS
    assert reports.error == "reason 99"


def test_that_it_works_is_news_only_after_it_did_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    reports = Reports()
    reports.recover()
    assert said(caplog, logging.INFO) == []
    reports.fail("taken")
    reports.recover()
    assert reports.error is None
    assert said(caplog, logging.INFO)[-1] == "mDNS works now"
