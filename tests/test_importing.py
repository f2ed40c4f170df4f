"""Imports in threads of our own, and forks: see tests/system/test_lifecycle.py for a real one."""

from __future__ import annotations

import threading

import pytest

from ipcpy import importing as module
from ipcpy.importing import Importing


class Thread:
    """A thread that imports until it may go on."""

    def __init__(self, importing):
        self._importing = importing
        self._begun, self.may_end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._begun.wait(20)

    def _run(self):
        with self._importing.lock:
            self._begun.set()
            self.may_end.wait(20)

    def end(self):
        self.may_end.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def importing():
    return Importing()


def test_a_fork_begins_when_the_import_is_over(importing):
    thread = Thread(importing)
    forked = threading.Event()

    def fork():
        importing.before_fork()
        forked.set()
        importing.after_fork()

    fork_thread = threading.Thread(target=fork, daemon=True)
    fork_thread.start()
    assert not forked.wait(0.05)
    thread.end()
    assert forked.wait(20)
    fork_thread.join(20)
    Thread(importing).end()


def test_who_imports_may_fork(importing):
    with importing.lock:
        importing.before_fork()
        importing.after_fork()
    Thread(importing).end()


def test_a_fork_waits_no_longer_than_that_and_its_child_imports(importing, monkeypatch):
    monkeypatch.setattr(module, "LONGEST", 0.01)
    thread = Thread(importing)
    importing.before_fork()
    importing.after_fork()
    importing.renew()  # in the child, which does not have that thread
    Thread(importing).end()
    thread.end()


def test_what_is_imported_once_takes_the_lock_no_more(monkeypatch):
    module.import_once("json")
    module.import_once(".version")
    monkeypatch.setattr(module.importing, "_lock", None)  # whoever takes it fails
    module.import_once("json")
    module.import_once(".version")
    with pytest.raises(TypeError):
        module.import_once("no_such_module")
