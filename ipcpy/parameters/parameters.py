"""Parameters: what users hold. Checks arguments and has the values for attributes.

The interior of those of this program is owner.py, of those of another one follower.py.
"""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

from ..errors import ArgumentError
from ..node.node import Node
from ..node.shared import node_for, shared_node
from ..protocol.naming import Resolved
from ..timeouts import seconds
from .file import check_file, read_table, write_table
from .follower import Follower
from .kinds import check_name
from .owner import Owner

__all__ = ["Parameters"]

F = TypeVar("F", bound=Callable[..., object])
Path = str | os.PathLike[str]


class Parameters:
    """The settings of a program that others see and change while it runs: ``params.gain``, ``params.gain = 2.0``.

    With defaults they are this program's own. A default says of which kind the values are: bool, int, float, str, a
    list of one of these, or a tuple. Without any they are those that another program has under this name: they are read
    from what that one told last, and set by asking it.

    Several are changed at once, or none of them, by ``set``. What does not fit, or a function of ``on_set`` refuses, is
    an ArgumentError, here and where it was asked for.

    Args:
        name: such as ``camera``; it is put under the namespace of its node.
        defaults: a dict, for parameters that are called as one of the arguments is.
        file: a TOML file in which they are kept: its table of this name is read at the start, and written with each
            change. Needs the extra ``params``.
        node: the node it belongs to; by default the one the process shares.
        more: defaults.

    Raises:
        ArgumentError: (a ValueError) which argument, or what in the file, is wrong.
        TransportError: (an OSError) if the file cannot be read, or there is no UDP socket to be had.
        ClosedError: (an OSError) if the node is closed.
        IpcError: if what files need is not installed.

    >>> import ipcpy as ipc
    >>> with ipc.Parameters("doc/camera", exposure=0.01, gain=1.0) as params, ipc.Parameters("doc/camera") as remote:
    ...     remote.gain = 2
    ...     params.gain, remote.gain
    (2.0, 2.0)
    """

    def __init__(
        self,
        name: str,
        defaults: Mapping[str, Any] | None = None,
        /,
        *,
        file: Path | None = None,
        node: Node | None = None,
        **more: Any,
    ) -> None:
        given = _given(defaults, more)
        for key in given:
            check_name(key, _TAKEN)
        if file is not None and not given:
            raise ArgumentError("parameters are kept in a file by the program that has them: give their defaults")
        path = None if file is None else check_file(file)
        core = node_for(node)
        self._name: Resolved = core.naming.topic(name)
        self._file, self._core = path, core
        node = shared_node() if node is None else node
        self._held: Owner | Follower = (
            Owner(self._name, given, path, node, core) if given else Follower(self._name, node)
        )

    def set(self, changes: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Change some, all of them or none; when it returns, whoever reads them here has the new values.

        Raises:
            ArgumentError: (a ValueError) one is not there, is of another kind, or was refused; nothing was changed.
            NoService: (a ConnectionError) the program that has them is not there.
            TimeoutError: it does not answer.
            TransportError: (an OSError) they could not be kept in the file; nothing was changed.
            IpcError: several programs have parameters of this name.
            ClosedError: (an OSError) after ``close``.
        """
        self._held.change(_given(changes, more))

    async def set_async(self, changes: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Change as ``set``, in a coroutine."""
        await self._held.change_async(_given(changes, more))

    def on_set(self, function: F) -> F:
        """Have a function asked before values change: ``@params.on_set``.

        It takes (name, value), or one argument, a dict of all that changes at once. It refuses by a ValueError, whose
        text is the reason, or by returning a reason or False. It may put the values to use: with one such function
        nobody else can refuse after it. It is asked at once about values that came from the file: what it refuses of
        them has its default again, which the log says.

        Raises:
            ArgumentError: (a ValueError) it is no such function, or the parameters are another program's.
        """
        if not isinstance(self._held, Owner):
            raise ArgumentError(f"only the program that has the parameters {self._name.told} may refuse values")
        self._held.ask(function)
        return function

    def on_change(self, function: F) -> F:
        """Have a function called after values changed: ``@params.on_change``; it is called as those of ``on_set``.

        In the program that has them by the thread that set them, elsewhere in a thread of its own. What it raises
        is logged.

        Raises:
            ArgumentError: (a ValueError) it is no such function.
        """
        self._held.changed.add(function)
        return function

    def wait_for_parameters(self, timeout: float | None = None) -> None:
        """Wait until their values are known here; those of this program are.

        Reading one that is not known yet waits too, for up to 5 s: in a coroutine await this first.

        Raises:
            TimeoutError: if nobody tells them in time; its text says why.
            ClosedError: (an OSError) if it is closed, also while waiting.
            ArgumentError: (a ValueError) if timeout is no number.
        """
        self._held.wait(seconds(timeout))

    async def wait_for_parameters_async(self, timeout: float | None = None) -> None:
        """Wait as ``wait_for_parameters``, in a coroutine; other coroutines run meanwhile."""
        await self._held.wait_async(seconds(timeout))

    def save(self, file: Path | None = None) -> None:
        """Write the values into a TOML file, as the table of this name; what else is in the file stays.

        Args:
            file: by default the one that they are kept in.

        Raises:
            ArgumentError: (a ValueError) if the file is none, or is no TOML.
            TransportError: (an OSError) if it cannot be written.
            IpcError: if what that needs is not installed.
        """
        write_table(self._path(file), self._table, self._held.known())

    def load(self, file: Path | None = None) -> None:
        """Set what the table of this name in a TOML file has: all of it or nothing.

        Args:
            file: by default the one that they are kept in.

        Raises:
            ArgumentError: (a ValueError) if there is no such table, or something in it does not fit or is refused.
            TransportError: (an OSError) if the file cannot be read.
        """
        self._held.change(read_table(self._path(file, written=False), self._table))

    def _path(self, file: Path | None, *, written: bool = True) -> Any:
        if file is None:
            if self._file is None:
                raise ArgumentError(f"the parameters {self._name.told} are kept in no file: name one")
            return self._file
        return check_file(file, written=written)

    @property
    def _table(self) -> str:
        return self._name.asked.removeprefix("/")

    def close(self) -> None:
        """Withdraw them, or listen no more; idempotent, within 100 ms. Their values stay as they are."""
        self._held.close()

    # -- values as attributes and items --------------------------------------------------------------------------------

    def keys(self) -> Iterator[str]:
        """Return their names; ``dict(params)`` has the values too."""
        return iter(list(self._held.known()))

    __iter__ = keys

    def __len__(self) -> int:
        return len(self._held.known())

    def __contains__(self, key: object) -> bool:
        return key in self._held.known()

    def __getitem__(self, key: str) -> Any:
        value = self._held.known()[key]
        return copy.deepcopy(value) if type(value) in (list, tuple) else value  # who changes a list changes only that

    def __setitem__(self, key: str, value: Any) -> None:
        self.set({key: value})

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_"):
            raise AttributeError(key)
        try:
            return self[key]
        except KeyError:
            there = ", ".join(self._held.known())
            raise AttributeError(f"{self._name.told} has no parameter {key!r}; it has {there}") from None

    def __setattr__(self, key: str, value: Any) -> None:
        if key.startswith("_"):
            object.__setattr__(self, key, value)
        else:
            self.set({key: value})

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._held.values})

    def __enter__(self) -> Parameters:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # arguments were refused: there is nothing yet
            self._core.loop.call(self._held.close)

    def __repr__(self) -> str:
        values = " ".join(f"{key}={value!r:.40}" for key, value in self._held.values.items())
        state = "closed" if self._held.closed else values or "not known yet"
        return f"<ipcpy.Parameters {self._name.told} {state}>"


_TAKEN = frozenset(name for name in vars(Parameters) if not name.startswith("_"))


def _given(values: Mapping[str, Any] | None, more: Mapping[str, Any]) -> dict[str, Any]:
    if values is not None and not isinstance(values, Mapping):
        raise ArgumentError(f"parameters are a dict such as {{'gain': 2.0}}, or gain=2.0, got {values!r:.80}")
    twice = sorted(set(values or ()) & set(more))
    if twice:
        raise ArgumentError(f"{', '.join(twice)}: given twice")
    return {**(values or {}), **more}
