"""The log is shown on demand only."""

from __future__ import annotations

import logging

import pytest

from ipcpy.errors import ArgumentError
from ipcpy.log import configure


@pytest.fixture
def logger():
    logger = logging.getLogger("ipcpy")
    before = logger.level, logger.handlers[:], logger.propagate
    yield logger
    logger.level, logger.handlers[:], logger.propagate = before


def test_without_the_setting_nothing_is_touched(logger, monkeypatch):
    monkeypatch.delenv("IPCPY_LOG", raising=False)
    handlers = logger.handlers[:]
    configure()
    assert logger.handlers == handlers and logger.propagate


def test_a_level_is_shown_once(logger, monkeypatch, capsys):
    monkeypatch.setenv("IPCPY_LOG", "info")
    logger.handlers.clear()
    configure()
    configure()
    logging.getLogger("ipcpy.node.network").info("the network changed")
    logging.getLogger("ipcpy.node.network").debug("not shown")
    assert capsys.readouterr().err.count("the network changed") == 1


def test_another_level_is_refused(monkeypatch):
    monkeypatch.setenv("IPCPY_LOG", "loud")
    with pytest.raises(ArgumentError, match="IPCPY_LOG is one of debug"):
        configure()
