"""The interior of the Parameters of the program that has them: checks, keeps, publishes and answers.

Joins kinds and the user's functions with a latched topic, a service and a file. Knows nothing of arguments;
parameters.py has those.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..asking.request import Request
from ..asking.service import Service
from ..codec import MsgPack
from ..errors import ArgumentError, ClosedError
from ..events import Event, PublisherFound
from ..graph import EndpointInfo
from ..log import get_logger
from ..node.core import Core
from ..node.departures import whereabouts
from ..node.loop import Alarm
from ..protocol.naming import Resolved, Whole
from ..publishing.publisher import Publisher
from .file import read_tables, write_table
from .functions import Functions, differing
from .kinds import kind_of, take_all

if TYPE_CHECKING:
    from ..node.node import Node

__all__ = ["Owner", "topic_of"]

log = get_logger(__name__)

GRACE = 3.0  # seconds after which a program of the same name is none that was killed and is not missed yet
MAX_BYTES = 4 << 20  # of all values together, as they are published
SCHEMA = "parameters"  # the key of a schema under which a topic says of which kinds its parameters are


def topic_of(name: Resolved) -> Whole:
    """Return the topic on which parameters are published, which is also the service by which they are set."""
    return Whole(f"{name.topic}/parameters")


class Values(MsgPack):
    """The codec of the topic: a dict of the values; its schema says of which kinds they are."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        super().__init__()
        self.schema = {SCHEMA: dict(kinds)}


class Owner:
    """Parameters and their values.

    Args:
        name: theirs.
        defaults: at least one.
        file: where they are kept; None for nowhere.
        node: where they are published.
        core: its interior.

    Raises:
        ArgumentError: a default is of no kind, or the file has what does not fit.
        TransportError, ClosedError: as Publisher.

    Attributes:
        values: what they are now; never changed, but another.
        told: how errors name them.
        changed: the functions that are told of changes.
    """

    def __init__(self, name: Resolved, defaults: Mapping[str, Any], file: Path | None, node: Node, core: Core) -> None:
        self.told = name.told
        self.closed = False
        self.changed = Functions(name.told)
        self._asked = Functions(name.told)
        self._table = name.asked.removeprefix("/")
        self._file = file
        self._kinds = {key: kind_of(key, default) for key, default in defaults.items()}
        self._defaults = take_all(name.told, self._kinds, defaults)
        self.values: Mapping[str, Any] = {**self._defaults, **self._read()}
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._published = 0
        self._codec = Values({key: kind.text for key, kind in self._kinds.items()})
        self._check_size(self.values)
        topic = topic_of(name)
        self._publisher = Publisher(topic, self._codec, reliable=True, keep=1, node=node, block=0)
        try:
            self._publish()
            self._service = Service(topic, self._answer, node=node)
            self._rivals = _Rivals(topic, self._publisher.id, core)
            core.listen(self._rivals)
        except BaseException:
            self._publisher.close()
            raise

    def _read(self) -> dict[str, Any]:
        """Return what the file has of them; what they are called no more is left out."""
        table = read_tables(self._file).get(self._table, {}) if self._file and self._file.exists() else {}
        if not isinstance(table, dict):
            raise ArgumentError(f"{str(self._file)!r} has no table {self._table!r}, but {table!r:.80}")
        for key in table.keys() - self._kinds.keys():
            log.warning("%s of %s in %s is no parameter of this program", key, self.told, self._file)
        try:
            return take_all(self.told, self._kinds, {key: table[key] for key in self._kinds if key in table})
        except ArgumentError as error:
            raise ArgumentError(f"in {str(self._file)!r}: {error}") from None

    def change(self, changes: object) -> None:
        """Change some, all of them or none.

        Raises:
            ArgumentError: one is not there, is of another kind, or a function refused.
            TransportError: they cannot be kept in the file.
            ClosedError: they are closed, or belong to the parent of this process.
        """
        taken = take_all(self.told, self._kinds, changes)
        with self._lock:
            self._check_open()
            refusal = self._asked.ask(taken)
            if refusal is not None:
                pairs = ", ".join(f"{key}={value!r:.80}" for key, value in taken.items())
                raise ArgumentError(f"{pairs} of {self.told} was refused: {refusal}")
            self._put({**self.values, **taken})

    async def change_async(self, changes: object) -> None:
        """Change as ``change``; there is nothing to wait for."""
        self.change(changes)

    def _put(self, values: Mapping[str, Any]) -> None:
        """Have other values, with the lock held: first in the file, for what cannot be kept is not changed."""
        changed = differing(self.values, values)
        if not changed:
            return
        self._check_size(values)
        if self._file is not None:
            write_table(self._file, self._table, values)
        try:
            self.values = values
        finally:  # an exception from outside in between: they are others here, so they are there
            self._publish()
        self.changed.tell(changed)

    def _check_size(self, values: Mapping[str, Any]) -> None:
        size = len(self._codec.encode(values))
        if size > MAX_BYTES:
            raise ArgumentError(
                f"the parameters {self.told} have at most 4 MiB, got {size:,} bytes: for bulk take a topic"
            )

    def _publish(self) -> None:
        self._published += 1
        self._publisher.publish(self.values)

    def ask(self, function: Any) -> None:
        """Add a function that may refuse; what it refuses of what was in the file has its default again.

        Raises:
            ArgumentError: it is no such function.
        """
        alone = Functions(self.told)
        alone.add(function)
        with self._lock:
            self._asked.add(function)
            for key, value in differing(self._defaults, self.values).items():
                refusal = alone.ask({key: value})
                if refusal is not None:
                    log.warning("%s=%r of %s is not taken from the file: %s", key, value, self.told, refusal)
                    self._put({**self.values, key: self._defaults[key]})

    def _answer(self, request: Request) -> dict[str, Any]:
        """Answer a call: what is to be set, or nothing, and the values then."""
        data = request.data
        if not (data is None or (isinstance(data, dict) and data.keys() <= {"set"})):
            raise ArgumentError(f"what is asked of parameters is {{'set': {{'gain': 2.0}}}} or {{}}, got {data!r:.80}")
        with self._lock:
            if data and data["set"]:
                self.change(data["set"])
            return {"values": dict(self.values), "publisher": self._publisher.id, "seq": self._published}

    def known(self) -> Mapping[str, Any]:
        """Return the values."""
        return self.values

    def wait(self, timeout: float | None) -> None:
        """Return: they are known."""
        self._check_open()

    async def wait_async(self, timeout: float | None) -> None:
        """Return: they are known."""
        self._check_open()

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedError(f"the parameters {self.told} are closed")
        if os.getpid() != self._pid:
            raise ClosedError(f"the parameters {self.told} belong to the parent of this process: set them there")

    def close(self) -> None:
        """Withdraw them; idempotent. They keep their values."""
        self.closed = True
        if os.getpid() == self._pid:
            self._rivals.end()
            self._service.close()
            self._publisher.close()


class _Rivals:
    """Whether another program has parameters of the same name; a Listener of the graph."""

    own = False

    def __init__(self, topic: str, id: str, core: Core) -> None:
        self._topic, self._id, self._core = topic, id, core
        self._suspects: dict[str, EndpointInfo] = {}
        self._told = False
        self._alarm = Alarm(core.loop, self._look)

    def put(self, event: Event) -> None:
        """Take a change of the graph: who has the same is looked at again later. It may be this program, killed."""
        if self._told or not isinstance(event, PublisherFound):
            return
        other = event.publisher
        if other.topic == self._topic and other.id != self._id and SCHEMA in other.schema:
            self._suspects[other.node.id] = other
            self._alarm.by(time.monotonic() + GRACE)

    def _look(self) -> None:
        suspects, self._suspects = self._suspects, {}
        other = next(filter(self._core.picture.has, suspects.values()), None)
        if other is None or self._told:
            return
        self._told = True
        words = "%s has parameters of the same name, %r: nobody can tell the two apart. Give one a namespace"
        log.warning(words, whereabouts(other.node), self._topic)

    def end(self) -> None:
        """Nothing more is told: the parameters, or their node, are closed."""
        self._told = True

    abandon = end
