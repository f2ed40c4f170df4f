"""What clients ask of one server, and what of it is to be done. Pure: requests come in, jobs and answers go out.

A call is done at most once. Its number tells: each client numbers its calls, and a number that was taken is not taken
again, whatever its bytes say. A client is new with every start, so a number never means another call. Numbers that were
jumped over may come yet, for a request that went aside overtakes others, or is lost and comes again: the newest few are
remembered. Of the others, and of those that a client asks for or cancels, nothing is taken any more.

An answer that goes aside may get lost, so it is kept until the client's next request says that it has come. A client
that repeats its request gets it again.

Bounds: clients, jobs in all and their bytes, jobs of one client, open goals. What is above them is refused with a
sentence. The answers that are kept, and numbers that may come yet, are few: those above go by the topic, or are lost.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from .envelope import (
    ASK,
    CALL,
    CANCEL,
    JOINED,
    LOST,
    MAX_PART,
    PART,
    REFUSED,
    SIZE,
    WAITS,
    Failure,
    Malformed,
    pack_failure,
    pack_lost,
    seal,
    unpack_header,
    unseal,
)

MAX_CLIENTS = 1_000
MAX_JOBS = 10_000
MAX_OF_ONE = 1_000  # jobs of one client
MAX_BYTES = 1 << 30  # of the requests of all jobs
MAX_MISSING = 64  # numbers of one client that may come yet, many times the calls that it has aside at a time
MAX_KEPT = 32  # answers to one client that went aside
MAX_LEFT = 4_000  # clients that left whose last number is remembered: one that was only cut off comes back


class Job:
    """A call that is to be answered.

    Attributes:
        client: who asks.
        number: the call's.
        flags: of the call.
        body: of the request.
        size: how many bytes that has.
        cancelled: whether the client wants it no more.
        wanted: whether the client wants to know how it ends.
        aside: whether its answer may go aside: the request did, and has not come by the topic too.
        on_cancel: called when it is cancelled.
    """

    cancelled = False
    wanted = True
    aside = False
    on_cancel: Any = None

    def __init__(self, client: str, number: int, flags: int, body: Any) -> None:
        self.client = client
        self.number = number
        self.flags = flags
        self.body = body
        self.size = len(body)


class Tell(NamedTuple):
    """What a client is to be told."""

    client: str
    data: Any


class Cancel(NamedTuple):
    """A job that is cancelled from now on; the client perhaps still waits for its end."""

    job: Job


Found = Job | Cancel | Tell


class _Client:
    __slots__ = ("begin", "jobs", "kept", "last", "missing")

    def __init__(self, last: int) -> None:
        self.last = last  # the highest number that was taken, or given up
        self.missing: dict[int, None] = {}  # those below it that may come yet
        self.jobs: dict[int, Job] = {}
        self.kept: dict[int, bytes] = {}  # answers that went aside; of those that went by the topic nothing, b""
        self.begin = (0, b"")  # a call, and the beginning of a request that does not fit into a message

    def take(self, number: int) -> bool:
        """Take a number, once; False if it was taken, or is not taken any more."""
        missing = self.missing
        if number <= self.last:
            return missing.pop(number, self) is None
        for each in range(max(self.last + 1, number - MAX_MISSING), number):
            missing[each] = None
        while len(missing) > MAX_MISSING:
            del missing[next(iter(missing))]
        self.last = number
        return True


class Duties:
    """All that is asked of one server.

    Args:
        name: the service, for sentences.
        goals: how many calls with steps may be open; None where calls have none.

    Attributes:
        dropped: requests of which nothing came, by cause.
        refused: calls that were refused.
    """

    def __init__(self, name: str, goals: int | None) -> None:
        self._name = name
        self._goals = goals
        self._most = MAX_JOBS if goals is None else min(goals, MAX_JOBS)
        self._clients: dict[str, _Client] = {}
        self._left: dict[str, int] = {}
        self._jobs = self._bytes = 0
        self._telling: set[tuple[str, int]] = set()  # calls that are done and whose answer is about to go by the topic
        self.dropped: Counter[str] = Counter()
        self.refused = 0

    @property
    def open(self) -> int:
        """How many calls are not answered yet."""
        return self._jobs

    def join(self, client: str) -> bool:
        """Take requests of a client from now on; False if there are too many clients."""
        if client not in self._clients and len(self._clients) >= MAX_CLIENTS:
            return False
        self._clients.setdefault(client, _Client(self._left.pop(client, 0)))
        return True

    def leave(self, client: str) -> list[Job]:
        """Forget a client; return its jobs, which are cancelled."""
        known = self._clients.pop(client, None)
        if known is None:
            return []
        self._left[client] = known.last
        if len(self._left) > MAX_LEFT:
            del self._left[next(iter(self._left))]
        jobs = list(known.jobs.values())
        self._jobs -= len(jobs)
        self._bytes -= sum(job.size for job in jobs)
        for job in jobs:
            job.cancelled, job.wanted = True, False
        return jobs

    def arrived(self, client: str, data: Any, *, aside: bool = False) -> list[Found]:
        """Take what a client sent, by the topic or aside; return what is to be done."""
        known = self._clients.get(client)
        if known is None:
            self.dropped["client"] += 1
            return []
        if type(data) is bytes and SIZE <= len(data) <= JOINED:  # the common case, without ado
            kind, flags, _, since, number = unpack_header(data)
            if (
                kind == CALL
                and number == known.last + 1
                and not since  # all before are over
                and not known.begin[0]
                and len(known.jobs) < MAX_OF_ONE
                and self._jobs < self._most
                and self._bytes < MAX_BYTES - JOINED
            ):
                known.last = number
                known.kept.clear()
                job = known.jobs[number] = Job(client, number, flags, data[SIZE:])
                job.aside = aside
                self._jobs += 1
                self._bytes += job.size
                return [job]
        try:
            kind, flags, since, number, body = unseal(data)
        except Malformed:
            self.dropped["malformed"] += 1
            return []
        if kind == CALL:
            _forget_kept(known, number - since)
            if known.take(number):
                return self._called(client, known, number, flags, body, aside=aside)
            return self._repeated(client, known, number, aside=aside)
        if kind == CANCEL:
            return self._cancelled(known, number, waits=bool(flags & WAITS))
        if kind == ASK:
            return self._asked(client, known, number)
        if kind == PART:
            known.begin = number, bytes(body[:MAX_PART])
            return []
        self.dropped["malformed"] += 1
        return []

    def _repeated(self, client: str, known: _Client, number: int, *, aside: bool) -> list[Found]:
        """Take a request again. One that comes by the topic too is answered there: its client waits for that."""
        if not aside:
            answer, job = known.kept.pop(number, None), known.jobs.get(number)
            if answer is not None:
                return [Tell(client, answer)] if answer else []
            if job is not None and job.aside:
                job.aside = False
                return []
        self.dropped["repeated"] += 1
        return []

    def _called(self, client: str, known: _Client, number: int, flags: int, body: Any, *, aside: bool) -> list[Found]:
        refusal = "" if self._takes_more(known, len(body)) else self._refusal(known, len(body))
        if refusal:
            self.refused += 1
            return [Tell(client, seal(REFUSED, number, pack_failure(Failure("Refused", refusal))))]
        if known.begin[0] == number:
            body = b"".join((known.begin[1], body))
            known.begin = 0, b""
        job = known.jobs[number] = Job(client, number, flags, body)
        job.aside = aside
        self._jobs += 1
        self._bytes += job.size
        return [job]

    def _takes_more(self, known: _Client, size: int) -> bool:
        return len(known.jobs) < MAX_OF_ONE and self._jobs < self._most and self._bytes + size <= MAX_BYTES

    def _refusal(self, known: _Client, size: int) -> str:
        if self._goals is not None and self._jobs >= self._goals:
            many = "1 open goal" if self._jobs == 1 else f"{self._jobs} open goals"
            return f"{self._name!r} has {many}, and takes no more"
        if len(known.jobs) >= MAX_OF_ONE:
            return f"{self._name!r} has not answered {MAX_OF_ONE:,} calls of this client yet, and takes no more"
        if self._jobs >= MAX_JOBS:
            return f"{self._name!r} has {MAX_JOBS:,} open calls, and takes no more"
        if self._jobs and self._bytes + size > MAX_BYTES:
            return f"the open calls of {self._name!r} have {self._bytes >> 20:,} MiB, and it takes no more"
        return ""

    def _cancelled(self, known: _Client, number: int, *, waits: bool) -> list[Found]:
        job = known.jobs.get(number)
        if job is None:
            if not waits:
                known.take(number)  # it may come yet, and is not wanted any more
                known.kept.pop(number, None)
            return []
        job.wanted = waits
        if job.cancelled:
            return []
        job.cancelled = True
        return [Cancel(job)]

    def _asked(self, client: str, known: _Client, number: int) -> list[Found]:
        if number in known.jobs or (client, number) in self._telling:
            return []
        answer = known.kept.pop(number, b"")
        if answer:
            return [Tell(client, answer)]
        known.take(number)  # it is lost from now on, though it may come yet
        return [Tell(client, seal(LOST, number, pack_lost(number)))]

    def finished(self, job: Job, answer: bytes | None = None) -> bool:
        """Take note that a job is done; return whether its client wants to know how.

        Who is to know it by the topic is told, and then ``told`` is called.

        Args:
            answer: a small one, all that is to be told: it is kept if it may go aside, which ``job.aside`` says then.
        """
        known = self._clients.get(job.client)
        if known is not None and known.jobs.get(job.number) is job:
            del known.jobs[job.number]
            self._jobs -= 1
            self._bytes -= job.size
            if job.aside and len(known.kept) < MAX_KEPT:
                known.kept[job.number] = answer if answer and job.wanted else b""
                job.aside = bool(answer) and job.wanted
            else:
                job.aside = False
            if job.wanted and not job.aside:
                self._telling.add((job.client, job.number))
        return job.wanted

    def told(self, job: Job) -> None:
        """Take note that the answer to a job is on the topic: what says that it is lost comes behind it."""
        self._telling.discard((job.client, job.number))


def _forget_kept(known: _Client, before: int) -> None:
    """Forget the answers to calls before a number: they have come, or nobody waits for them."""
    for number in [number for number in known.kept if number < before]:
        del known.kept[number]
