"""Moments on the command line."""

from __future__ import annotations

from datetime import datetime

import click
import pytest
from click.testing import CliRunner

from ipcpy.cli.moments import read_moment, span_options


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("12.5", 12.5),
        ("-10", -10.0),
        ("1:30", 90.0),
        ("1:02:03.5", 3723.5),
        ("-0:10", -10.0),
        ("1764320000000000001", 1764320000000000001),
        ("2026-11-28T10:30:00", datetime(2026, 11, 28, 10, 30)),
        ("2026-11-28", datetime(2026, 11, 28)),
    ],
)
def test_a_moment_is_read(text, expected):
    assert read_moment(text) == expected


@pytest.mark.parametrize("text", ["", "x", "1:2:3:4", "nan", "inf", "1e", "2026-13-01"])
def test_what_is_none_is_wrong_usage(text):
    with pytest.raises(ValueError):
        read_moment(text)

    @click.command()
    @span_options
    def command(**options):
        print(options)

    done = CliRunner().invoke(command, ["--start", text])
    assert done.exit_code == 2
    assert "is no moment: 12.5 (s), -10 (before the end), 1:30, 2026-11-28T10:30" in " ".join(done.output.split())
    assert "'start': -10.0" in CliRunner().invoke(command, ["--start", "-10"]).output
