"""Parameters in a TOML file: a table for each name, beside whatever else is in the file. Knows files; nothing of kinds.

tomllib, which Python has, reads; tomli-w, of an extra, writes. It keeps no comments.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, IpcError, TransportError

__all__ = ["check_file", "read_table", "read_tables", "write_table"]

_lock = threading.RLock()  # over reading a file and writing it again


def _renew_lock() -> None:
    """Forget, in a forked child, who of the parent's threads held the lock: none of them is here."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def need_extra() -> None:
    """Look whether what writing needs is installed.

    Raises:
        IpcError: it is not.
    """
    if find_spec("tomli_w") is None:
        raise IpcError("saving parameters needs tomli-w, which comes with an extra: pip install 'ipcpy[params]'")


def check_file(file: object, *, written: bool = True) -> Path:
    """Return the path of a file that parameters can be kept in, or only read from.

    Raises:
        ArgumentError: it is none, or its directory is not there.
        IpcError: what writing needs is not installed.
    """
    if not isinstance(file, str | os.PathLike) or not os.fspath(file):
        raise ArgumentError(f"file is the path of a TOML file, got {file!r}")
    path = Path(os.fsdecode(file))
    if not written:
        return path
    need_extra()
    if not path.absolute().parent.is_dir():
        raise ArgumentError(f"there is no directory {str(path.absolute().parent)!r} to keep parameters in")
    return path


def read_tables(path: Path) -> dict[str, Any]:
    """Return what is in a file.

    Raises:
        ArgumentError: it is no TOML.
        TransportError: (an OSError) it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArgumentError(f"{str(path)!r} is no TOML file: {error}") from None
    except OSError as error:
        raise _refused(error) from None


def read_table(path: Path, name: str) -> dict[str, Any]:
    """Return a table of a file.

    Raises:
        ArgumentError: the file is no TOML, or has no such table.
        TransportError: (an OSError) it cannot be read.
    """
    tables = read_tables(path)
    table = tables.get(name)
    if not isinstance(table, dict):
        there = ", ".join(repr(key) for key, each in tables.items() if isinstance(each, dict))
        raise ArgumentError(f"{str(path)!r} has no table {name!r}; it has {there or 'none'}")
    return table


def write_table(path: Path, name: str, values: Mapping[str, Any]) -> None:
    """Write values into a table of a file; what else is in either stays.

    Whoever reads the file meanwhile finds all of that of before, or all of that of after.

    Raises:
        ArgumentError: the file is there, and no TOML.
        TransportError: (an OSError) it cannot be read or written.
        IpcError: what writing needs is not installed.
    """
    need_extra()
    import tomli_w

    with _lock:
        tables = read_tables(path) if path.exists() else {}
        before = tables.get(name)
        tables[name] = {**(before if isinstance(before, dict) else {}), **values}
        try:
            _replace(Path(os.path.realpath(path)), tomli_w.dumps(tables).encode())
        except OSError as error:
            raise _refused(error) from None


def _replace(path: Path, data: bytes) -> None:
    """Write a file beside and put it in the place of the old one, with the rights of that."""
    number, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(number)
        os.chmod(beside, path.stat().st_mode & 0o777 if path.exists() else 0o644)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def _refused(error: OSError) -> TransportError:
    return TransportError(error.errno, error.strerror, error.filename)
