"""Key files: made, read, refused, and looked at again. Knows files and who may read them; nothing of nodes or threads.

A file that others can read is no secret, so it is refused, as ssh refuses such keys. What is read is what was opened
and looked at: no other file can be put in its place in between.
"""

from __future__ import annotations

import contextlib
import os
import stat
from importlib.util import find_spec

from ..errors import ArgumentError, IpcError
from ..settings import CREDENTIAL, default_key_file, find_key_file
from .keys import ALGORITHMS, LONGEST, Key, Keyring

__all__ = ["KeyFile", "need_extra", "new_key"]

Stamp = tuple[int, ...]

_HEAD = """\
# The key of a group of ipcpy nodes. Who has this file is one of them; copy it to all, and to nobody else.
# Fingerprint: {fingerprint}
"""


class KeyFile:
    """A key file, as it was when it was last found in order.

    Args:
        path: where it is; None for the one that a node finds: ``IPCPY_KEY_FILE``, ``ipcpy.key`` among systemd's
            credentials, or the one in the user's config folder.

    Attributes:
        path: where it is.
        keyring: the keys in it.

    Raises:
        ArgumentError: (a ValueError) there is none, or it is not one to be trusted, and why.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = find_key_file(path)
        if not self.path:
            raise ArgumentError(f"there is no key file; `ipcpy key new` makes {default_key_file() or 'one'}")
        self.keyring, self._stamp = _read(self.path)
        self._changing = self._stamp

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys in it: all are accepted, the first one seals."""
        return self.keyring.keys

    def look(self) -> bool:
        """Look whether the file is another, and read it if so: once it is the same at two looks, and so complete.

        Returns:
            Whether ``keyring`` is another now.

        Raises:
            ArgumentError: what is wrong with it now; said once, and ``keyring`` stays as it was.
        """
        found = _stamp_of(self.path)
        if found == self._stamp:
            self._changing = found
            return False
        if found != self._changing:
            self._changing = found
            return False
        self._stamp = found
        before = self.keyring
        self.keyring, self._stamp = _read(self.path)
        self._changing = self._stamp
        return self.keyring != before

    def __repr__(self) -> str:
        return f"<ipcpy.KeyFile {self.path!r} {', '.join(repr(key.fingerprint) for key in self.keys)}>"


def new_key(path: str | os.PathLike[str] | None = None, *, algorithm: str = ALGORITHMS[0]) -> KeyFile:
    """Make a key file with a new key, readable by its owner only; what exists is not overwritten.

    Args:
        path: where; by default in the user's config folder, where nodes of this user find it.
        algorithm: ``chacha20-poly1305`` or ``aes-256-gcm``, which is faster on processors that have it.

    Raises:
        ArgumentError: (a ValueError) if there is a file already, or none can be made.
    """
    where = os.path.expanduser(os.fspath(path)) if path is not None else default_key_file()
    if not where:
        raise ArgumentError("this user has no config folder; say where the key file is to be")
    key = Key(algorithm, os.urandom(32))
    text = _HEAD.format(fingerprint=key.fingerprint) + Keyring((key,)).text()
    try:
        if path is None:
            os.makedirs(os.path.dirname(where), mode=0o700, exist_ok=True)
        _write_new(where, text.encode())
    except FileExistsError:
        raise ArgumentError(f"{where!r} is there already and is not overwritten: whose key it has needs it") from None
    except OSError as error:
        raise ArgumentError(f"the key file {where!r} cannot be made: {error.strerror or error}") from None
    return KeyFile(where)


def _write_new(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def _read(path: str) -> tuple[Keyring, Stamp]:
    """Read a key file.

    Raises:
        ArgumentError: what is wrong, as a sentence that names the file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # a pipe must not be waited for
    try:
        descriptor = os.open(path, flags)
        try:
            found = os.fstat(descriptor)
            if wrong := _wrong_with(found, path):
                raise ArgumentError(f"the key file {path!r} {wrong}")
            data = b""
            while len(data) <= LONGEST and (part := os.read(descriptor, LONGEST + 1 - len(data))):
                data += part
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ArgumentError(f"the key file {path!r} cannot be read: {error.strerror or error}") from None
    try:
        return Keyring.parse(data), _stamp(found)
    except ArgumentError as error:
        raise ArgumentError(f"the key file {path!r} {error}") from None


def _wrong_with(found: os.stat_result, path: str) -> str:
    """Say why a file is not to be trusted, as half a sentence; empty if it is."""
    if not stat.S_ISREG(found.st_mode):
        return "is no regular file"
    # systemd gives the user of a service a credential by an ACL, whose mask shows as rights of the group.
    shared = found.st_mode & (0o037 if _is_credential(path) else 0o077)
    if os.name == "posix" and not _is_owner_trusted(found.st_uid):
        return f"belongs to another user (uid {found.st_uid}), who may change it: chown it to the user of this program"
    if os.name == "posix" and shared:
        right = "written" if shared & 0o022 else "read"
        return f"can be {right} by others (mode {stat.S_IMODE(found.st_mode):04o}): chmod 600, and better a new key"
    return ""


def _is_owner_trusted(owner: int) -> bool:
    """Tell whether an owner is this user, or root; or, for root, the user who became root by sudo."""
    user = os.geteuid()
    return owner in (user, 0) or (user == 0 and os.environ.get("SUDO_UID") == str(owner))


def _is_credential(path: str) -> bool:
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return bool(folder) and os.path.abspath(path) == os.path.abspath(os.path.join(folder, CREDENTIAL))


def _stamp_of(path: str) -> Stamp:
    """Return what is another if the file is; empty where there is none."""
    try:
        return _stamp(os.stat(path))
    except OSError:
        return ()


def _stamp(found: os.stat_result) -> Stamp:
    return (found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def need_extra() -> None:
    """Look whether what seals is installed.

    Raises:
        IpcError: it is not.
    """
    if find_spec("cryptography") is None:
        raise IpcError(
            "a key is set, and sealing needs cryptography, which comes with an extra: pip install 'ipcpy[secure]'. "
            "Without it nothing is sent; IPCPY_KEY_FILE= (empty) or Node(key=False) does without a key"
        )
