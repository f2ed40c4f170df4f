"""What processes do that ask and answer. They are told what and when as all roles are."""

from __future__ import annotations

import time

from .adapters.asking import Asking
from .adapters.contract import Setting
from .roles import asked, end_with_starter, latencies, now, tell

TRIES = 200  # first calls that may fail, 50 ms apart: some families find each other late


def serve(adapter: Asking, setting: Setting) -> None:
    """Answer until the end."""
    adapter.serve()
    end_with_starter()
    tell(ready=True)
    time.sleep(120)


def ask(adapter: Asking, setting: Setting) -> None:
    """Ask as often as told, one call after the other; tell how long each took."""
    call = adapter.asker()
    _first(call)
    tell(ready=True)
    asked()
    end = time.monotonic() + setting.extra["calm"]
    while time.monotonic() < end:
        call()
    taken: list[int] = []
    cpu = time.process_time_ns()
    count = setting.extra.get("count")
    seconds = setting.extra.get("seconds", 0.0)
    end = time.monotonic() + seconds
    while len(taken) < count if count else time.monotonic() < end:
        begun = now()
        call()
        taken.append(now() - begun)
    cpu = time.process_time_ns() - cpu
    tell(**latencies(taken), cpu=cpu / 1e3 / len(taken), count=len(taken))
    asked()


def _first(call: object) -> None:
    assert callable(call)
    for left in range(TRIES, 0, -1):
        try:
            call()
            return
        except Exception:
            if left == 1:
                raise
            time.sleep(0.05)
