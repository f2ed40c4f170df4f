"""The threads that answer calls. Knows when which of them reads and which works; nothing of requests.

One thread reads, and does what it reads itself: a quick call costs no hand-over between threads. If it has not come
back after a moment, the I/O thread gives the reading to another one, which does the same. One more thread than may work
at once sees to it that somebody reads always: what is cancelled is heard, and what is too much is refused.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial

from ..errors import ClosedError, RecvTimeout
from ..locks import start
from ..node.loop import Alarm, Loop
from ..timeouts import NEVER
from .duties import Found, Job
from .server import Server

AWAY = 0.001  # seconds that who reads may work before another thread reads on
LOOKS = 0.004  # seconds between two looks whether it is away, while calls come one after the other and all are quick


class Crew:
    """The threads of one server.

    Args:
        server: reads, and knows what to do.
        work: answers one call; it raises nothing.
        threads: how many calls are answered at once.
    """

    def __init__(self, server: Server, work: Callable[[Job], None], threads: int, loop: Loop) -> None:
        self._server = server
        self._work = work
        self._threads = threads
        self._lock = threading.Lock()  # over what follows; no user's thread takes it
        self._turn = threading.Lock()  # to read
        self._reader: object = None  # whose turn it is
        self._away_since = 0.0  # since when who has the turn works; 0 while it reads
        self._looking = False  # whether the alarm is set
        self._begun = 0  # how many calls were begun by who reads since the last look
        self._working = 0
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()  # by client, who is next first
        self._alarm = Alarm(loop, self._on_alarm)
        self._names = f"ipcpy service {server.terms.name}"

    def begin(self) -> None:
        """Start the threads."""
        for _ in range(self._threads + 1):
            start(threading.Thread(target=self._run, name=self._names, daemon=True))

    def _run(self) -> None:
        me = object()
        try:
            while True:
                if self._reader is not me:
                    self._take_turn(me)
                job: Job | None = self._read()
                while job is not None:
                    self._work(job)
                    job = None
                    with self._lock:
                        if self._waiting:
                            job = self._next()
                        else:
                            self._working -= 1
                            if self._reader is me:
                                self._away_since = 0.0
        except ClosedError:
            pass
        finally:
            self._leave(me)
            self._server.close()  # the node may have ended it: what others are at is cancelled

    def _take_turn(self, me: object) -> None:
        self._turn.acquire()
        self._reader = me
        self._server.asked.thread = threading.get_ident()

    def _leave(self, me: object) -> None:
        with self._lock:
            if self._reader is me:
                self._reader, self._away_since = None, 0.0
                self._turn.release()

    def _read(self) -> Job:
        """Read until there is a job that this thread can do."""
        server, found = self._server, self._server.asked.found
        messages, wait = server.inlet
        while True:
            if not (found or messages):
                wait(None, NEVER)
            each: Found | None
            if found:
                each = found.popleft()
            else:
                try:
                    each = server.take(messages.popleft() if messages else server.requests.recv(0))
                except RecvTimeout:  # what came was no message
                    continue
            if type(each) is not Job:
                server.see_to(each)
                continue
            job = each
            with self._lock:
                if self._working < self._threads:
                    self._working += 1
                    self._away_since = now = time.monotonic()
                    self._begun += 1
                    looking, self._looking = self._looking, True
                    break
                self._waiting.setdefault(job.client, deque()).append(job)
            job.on_cancel = partial(self._drop, job)
            if job.cancelled:  # meanwhile
                self._drop(job)
        if not looking:
            self._alarm.by(now + AWAY)
        return job

    def _next(self) -> Job:
        """Return what was waiting while a thread worked; each client in turn. The caller holds the lock."""
        client, jobs = self._waiting.popitem(last=False)
        job = jobs.popleft()
        if jobs:
            self._waiting[client] = jobs
        return job

    def _drop(self, job: Job) -> None:
        """Have a job that is cancelled wait no more, however long the others take."""
        with self._lock:
            jobs = self._waiting.get(job.client)
            if jobs is None or job not in jobs:
                return
            jobs.remove(job)
            if not jobs:
                del self._waiting[job.client]
        self._work(job)

    def _on_alarm(self) -> None:
        """Hand the reading to another thread, if who reads has been away for long. In the I/O thread.

        While quick calls follow one another it looks now and then: to be woken for each of them would take longer than
        they do.
        """
        with self._lock:
            since, begun, now = self._away_since, self._begun, time.monotonic()
            self._begun = 0
            due = since + AWAY if since and begun <= 1 else now + LOOKS
            self._looking = bool(since or begun)
            if since and now >= since + AWAY:
                self._away_since, self._looking = 0.0, False
                self._reader = None
                self._turn.release()
        if self._looking:
            self._alarm.by(due)
