"""The keys of a node: changed files are taken while it runs, broken ones change nothing, no key costs nothing."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

import ipcpy as ipc
from ipcpy.node.keywatch import LOOK, KeyWatch
from ipcpy.node.loop import Loop
from ipcpy.sealing.keys import ALGORITHMS, Key, Keyring
from ipcpy.transport.sockets import Sockets

OLD, NEW = (Key(ALGORITHMS[0], bytes(range(first, first + 32))) for first in (0, 32))


@pytest.fixture
def path(tmp_path):
    """A key file with one key."""
    path = tmp_path / "key"
    path.touch(mode=0o600)
    write(path, OLD)
    return path


def write(path, *keys):
    path.write_text(Keyring(keys).text())


def sealing(path) -> KeyWatch:
    """Return a watch in whose life something is sealed."""
    watch = KeyWatch(str(path))
    watch.seal_anew(Sockets())
    return watch


def test_no_file_is_no_watch_and_nothing_is_sealed():
    watch, sockets = KeyWatch(""), Sockets()
    assert not watch.look()
    watch.start(None, pytest.fail, pytest.fail)
    assert watch.ids() == ()
    assert watch.seal_anew(sockets) is sockets
    assert watch.keyring is watch.seal is None
    assert watch.refused == {}


def test_each_life_has_a_seal_of_its_own(path):
    watch, sockets = KeyWatch(str(path)), Sockets()
    assert watch.seal is None and watch.refused == {}
    assert watch.seal_anew(sockets) != sockets
    before = watch.seal
    before.refused["forged"] += 1
    assert watch.refused == {"forged": 1}
    watch.seal_anew(sockets)
    assert watch.seal is not before and watch.seal.session != before.session
    assert watch.refused == {}


def test_a_changed_file_is_used_and_logged(path, caplog):
    watch = sealing(path)
    assert not watch.look()
    assert watch.seal.keyring == Keyring((OLD,))
    write(path, NEW, OLD)
    with caplog.at_level(logging.INFO, "ipcpy"):
        assert [watch.look() for _ in range(3)] == [False, True, False]
    assert watch.keyring == watch.seal.keyring == Keyring((NEW, OLD))
    assert watch.ids() == (NEW.id.hex(), OLD.id.hex())
    assert f"sealed is with {NEW.fingerprint!r} (and 1 more accepted)" in caplog.text
    assert "ICEiIyQl" not in caplog.text


def test_the_names_at_which_memory_is_handed_over_are_known_to_who_has_the_key(path):
    write(path, OLD, NEW)
    node = "0123456789abcdef"
    names = KeyWatch(str(path)).handover_names(node)
    assert names == tuple(key.derive(b"ipcpy 1 handover " + node.encode(), 8).hex() for key in (OLD, NEW))
    assert len({*names, *KeyWatch(str(path)).handover_names("f" * 16)}) == 4
    assert KeyWatch("").handover_names(node) == (node,)


def test_a_broken_file_is_warned_of_once_and_changes_nothing(path, caplog):
    watch = sealing(path)
    path.write_text("")
    assert not any(watch.look() for _ in range(4))
    assert watch.keyring == watch.seal.keyring == Keyring((OLD,))
    assert caplog.text.count("is empty") == 1
    assert "The keys that were read before stay in use." in caplog.text


def test_the_io_thread_looks_once_a_second(path, wait_until, monkeypatch):
    monkeypatch.setattr("ipcpy.node.keywatch.LOOK", LOOK / 50)
    loop, told = Loop("keys"), []
    loop.start()
    watch = sealing(path)
    gone: list[int] = []  # how many changes had been told of when a key was given up
    removed = lambda now: gone.append(len(told))  # noqa: E731
    loop.call(lambda: watch.start(loop, removed, lambda: told.append(watch.seal.keyring.keys)))
    files = [(OLD, NEW), (NEW, OLD), (NEW,), (NEW, OLD), (OLD,)]
    for number, keys in enumerate(files, 1):
        write(path, *keys)
        wait_until(lambda number=number: len(told) == number)
    assert told == files
    wait_until(lambda: gone == [3, 5])
    loop.call(loop.quit)
    loop.join(20)


def test_a_node_shows_the_fingerprints_of_its_keys_and_takes_others_while_it_runs(path, wait_until, monkeypatch):
    monkeypatch.setattr("ipcpy.node.keywatch.LOOK", LOOK / 50)
    with ipc.Node(key=path) as node:
        assert node.keys == (OLD.fingerprint,)
        write(path, NEW, OLD)
        assert wait_until(lambda: node.keys == (NEW.fingerprint, OLD.fingerprint))


def test_the_environment_names_the_file_and_an_argument_has_precedence(path, monkeypatch):
    monkeypatch.setenv("IPCPY_KEY_FILE", str(path))
    with ipc.Node() as node, ipc.Node(key=False) as plain:
        assert node.keys == (OLD.fingerprint,)
        assert plain.keys == ()


def test_a_node_without_a_key_imports_nothing_of_sealing():
    program = """
import sys, ipcpy
with ipcpy.Node(interfaces="lo") as node:
    node.wait_complete(0.1)
print([name for name in sys.modules if "sealing" in name or "cryptography" in name])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
