"""Key files: made for their owner only, refused with a sentence, and read again when they change."""

from __future__ import annotations

import os
import stat
import sys

import pytest

import ipcpy as ipc
from ipcpy.errors import ArgumentError, IpcError
from ipcpy.sealing import keyfile
from ipcpy.sealing.keyfile import KeyFile, need_extra, new_key
from ipcpy.sealing.keys import ALGORITHMS, Key, Keyring

posix = pytest.mark.skipif(sys.platform == "win32", reason="modes of files are POSIX's")
OLD, NEW = (Key(ALGORITHMS[0], bytes(range(first, first + 32))) for first in (0, 32))


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A config folder of its own, and no other way to a key."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "config"))
    monkeypatch.setattr("ipcpy.settings.sys.platform", "win32" if sys.platform == "win32" else "linux")
    monkeypatch.delenv("IPCPY_KEY_FILE", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return tmp_path / "config" / "ipcpy" / "key"


@pytest.fixture
def path(tmp_path):
    """A key file with one key."""
    path = tmp_path / "key"
    write(path, OLD)
    return path


def write(path, *keys, mode=0o600):
    """Put keys into a file as a program does that lets nobody see half of it."""
    beside = path.with_name("new")
    beside.write_text(Keyring(keys).text())
    beside.chmod(mode)
    os.replace(beside, path)


def test_a_new_key_is_where_nodes_of_the_user_find_it(home):
    made = new_key()
    assert made.path == str(home)
    assert ipc.KeyFile().keyring == made.keyring
    assert [key.algorithm for key in made.keys] == [ALGORITHMS[0]]
    assert made.keys[0].fingerprint in home.read_text()


@posix
def test_a_new_key_is_its_owners_alone_whatever_the_umask(home):
    before = os.umask(0)
    try:
        new_key()
    finally:
        os.umask(before)
    assert stat.S_IMODE(home.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700


def test_what_exists_is_not_overwritten(path):
    with pytest.raises(ArgumentError, match="is there already and is not overwritten"):
        new_key(path)
    assert KeyFile(path).keys == (OLD,)


def test_no_two_new_keys_are_alike(tmp_path):
    made = {new_key(tmp_path / str(number), algorithm=ALGORITHMS[1]).keys for number in range(4)}
    assert len(made) == 4
    assert {key.algorithm for (key,) in made} == {ALGORITHMS[1]}


def test_a_key_that_cannot_be_made_is_said_so_and_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(ArgumentError, match="cannot be made: No such file or directory"):
        new_key(tmp_path / "no" / "key")
    with pytest.raises(ArgumentError, match="a key is for chacha20-poly1305 or aes-256-gcm, not for 'rot13'"):
        new_key(tmp_path / "key", algorithm="rot13")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keyfile.os, "fsync", full)
    with pytest.raises(ArgumentError, match="cannot be made: No space left on device"):
        new_key(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o610, 0o777, 0o644])
def test_a_file_of_others_is_no_secret(path, mode):
    path.chmod(mode)
    with pytest.raises(ArgumentError, match=r"can be (read|written) by others \(mode 0\d\d\d\): chmod 600"):
        KeyFile(path)
    with pytest.raises(ipc.ArgumentError, match="by others"):
        ipc.Node(key=path)


@posix
@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_a_file_of_its_owner_alone_is_taken(path, mode):
    path.chmod(mode)
    assert KeyFile(path).keys == (OLD,)


@posix
def test_a_file_of_another_user_is_refused_but_roots_is_not(path, monkeypatch):
    """Root can read everybody's files, and must not take a key that somebody else can change."""
    owner = path.stat().st_uid
    monkeypatch.setattr(keyfile.os, "geteuid", lambda: owner + 1)
    if owner:
        with pytest.raises(ArgumentError, match=rf"belongs to another user \(uid {owner}\), who may change it: chown"):
            KeyFile(path)
    monkeypatch.setattr(keyfile.os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", str(owner))
    assert KeyFile(path).keys == (OLD,)
    monkeypatch.setattr(keyfile.os, "geteuid", lambda: owner)
    assert KeyFile(path).keys == (OLD,)


@posix
@pytest.mark.parametrize(
    ("user", "owner", "sudo", "trusted"),
    [(5, 5, "", True), (5, 0, "", True), (5, 6, "", False), (0, 5, "", False), (0, 5, "5", True), (5, 6, "6", False)],
)
def test_whose_file_is_trusted(user, owner, sudo, trusted, monkeypatch):
    monkeypatch.setattr(keyfile.os, "geteuid", lambda: user)
    monkeypatch.setenv("SUDO_UID", sudo)
    assert keyfile._is_owner_trusted(owner) is trusted


@posix
def test_a_credential_of_systemd_is_taken_though_its_acl_looks_like_rights_of_the_group(tmp_path, home, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    write(tmp_path / "ipcpy.key", OLD, mode=0o440)
    assert KeyFile().keys == (OLD,)
    for mode in (0o444, 0o460):
        (tmp_path / "ipcpy.key").chmod(mode)
        with pytest.raises(ArgumentError, match="by others"):
            KeyFile()


@posix
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("pipe", "."):
        with pytest.raises(ArgumentError, match="is no regular file"):
            KeyFile(tmp_path / name)
    with pytest.raises(ArgumentError, match="cannot be read: No such file"):
        KeyFile(tmp_path / "nothing")
    with pytest.raises(ArgumentError, match="is no regular file"):
        KeyFile("/dev/null")


@posix
def test_a_link_to_a_key_is_one(path, tmp_path):
    (tmp_path / "link").symlink_to(path)
    assert KeyFile(tmp_path / "link").keys == (OLD,)


def test_what_is_wrong_in_a_file_is_said_with_its_name(path):
    for data, text in ((b"", "is empty"), (b"x", "is no key file"), (path.read_bytes()[:30], "is truncated")):
        path.write_bytes(data)
        with pytest.raises(ArgumentError, match=f"the key file .*key' {text}"):
            KeyFile(path)


def test_no_key_file_at_all_is_said(home):
    with pytest.raises(ArgumentError, match="there is no key file; `ipcpy key new` makes .*key"):
        KeyFile()


def test_a_changed_file_is_read_at_the_second_look(path):
    file = KeyFile(path)
    assert not file.look()
    write(path, OLD, NEW)
    assert not file.look()
    assert file.keys == (OLD,)
    assert file.look()
    assert file.keys == (OLD, NEW)
    assert not file.look()


def test_a_file_that_is_being_written_is_not_read(path):
    file = KeyFile(path)
    whole = Keyring((NEW, OLD)).text().encode()
    for size in range(0, len(whole), 40):
        path.write_bytes(whole[:size])
        assert not file.look()
    path.write_bytes(whole)
    assert not file.look()
    assert file.look()
    assert file.keys == (NEW, OLD)


def test_the_same_keys_written_again_are_no_change(path):
    file = KeyFile(path)
    write(path, OLD)
    assert not file.look()
    assert not file.look()


@pytest.mark.parametrize("how", ["gone", "empty", "shared", "cut"])
def test_a_broken_file_is_said_once_and_the_keys_before_stay(path, how):
    if how == "shared" and sys.platform == "win32":
        pytest.skip("modes of files are POSIX's")
    file = KeyFile(path)
    if how == "gone":
        path.unlink()
    elif how == "shared":
        path.chmod(0o644)
    else:
        path.write_bytes(b"" if how == "empty" else path.read_bytes()[:-4])
    assert not file.look()
    with pytest.raises(ArgumentError, match="the key file"):
        file.look()
    assert not file.look()
    assert file.keys == (OLD,)
    write(path, NEW)
    assert not file.look()
    assert file.look()
    assert file.keys == (NEW,)


def test_a_repr_shows_fingerprints_only(path):
    assert repr(KeyFile(path)) == f"<ipcpy.KeyFile {str(path)!r} 'rabbit pilot birch violet'>"


def test_without_the_extra_a_key_is_an_error_that_names_it(path, monkeypatch):
    monkeypatch.setattr(keyfile, "find_spec", lambda name: None)
    with pytest.raises(IpcError, match=r"pip install 'ipcpy\[secure\]'"):
        need_extra()
    with pytest.raises(IpcError, match=r"pip install 'ipcpy\[secure\]'"):
        ipc.Node(key=path)
