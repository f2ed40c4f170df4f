"""The log is shown on demand only."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from ipcpy.errors import ArgumentError
from ipcpy.log import configure, get_logger


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


QUIET = """
import sys
from ipcpy.log import get_logger
log = get_logger("ipcpy.made.up")
log.info("%d nodes", 3)
log.debug("nothing")
print("logging" in sys.modules)
import logging
log.info("nobody wants to know")
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
log.info("somebody does")
log.warning("of course")
"""


def test_what_nobody_can_want_to_hear_imports_nothing():
    said = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, check=True, timeout=20)
    assert said.stdout.split("\n")[:-1] == ["False", "somebody does", "of course"] and said.stderr == ""


def test_what_a_module_says_goes_to_the_logger_of_its_name(caplog):
    log = get_logger("ipcpy.made.up")
    with caplog.at_level("INFO", logger="ipcpy.made.up"):
        log.info("%d nodes", 3)
        log.debug("nothing")
    try:
        raise ValueError("wrong")
    except ValueError:
        log.exception("it failed")
    first, second = caplog.records
    assert (first.name, first.levelname, first.getMessage()) == ("ipcpy.made.up", "INFO", "3 nodes")
    assert first.funcName == "test_what_a_module_says_goes_to_the_logger_of_its_name"
    assert second.exc_info is not None and second.levelname == "ERROR"
    assert log.isEnabledFor(40)
    with pytest.raises(AttributeError):
        log.shout("what no logger has")


def test_who_says_nothing_imports_no_logging():
    program = """
import sys
from ipcpy.log import configure, get_logger, get_logger
log = get_logger("ipcpy.x")
configure()
assert "logging" not in sys.modules
log.warning("now")
assert "logging" in sys.modules
"""
    env = {name: value for name, value in os.environ.items() if name != "IPCPY_LOG"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=60)
    assert (done.returncode, done.stderr) == (0, "now\n")
