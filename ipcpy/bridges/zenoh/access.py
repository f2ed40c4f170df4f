"""A session of Zenoh as incoming.py and outgoing.py use it: handlers, and workers. Knows Zenoh, and nothing of offers.

Zenoh calls back in its own threads. They only hand on: what takes time, or calls Zenoh again, is done by workers.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...errors import ArgumentError
from .keys import Keys
from .options import ZenohOptions

__all__ = ["Access", "open_session"]

log = logging.getLogger(__name__)

WORKERS = 4


def open_session(options: ZenohOptions, *, check: bool = False) -> Any:
    """Open a session; with ``check`` only look whether Zenoh takes what was said.

    Raises:
        ArgumentError: (a ValueError) Zenoh does not take it.
        zenoh.ZError: there is no way to where it is told to connect, or to listen.
    """
    import zenoh

    try:
        config = zenoh.Config.from_file(options.config) if options.config else zenoh.Config()
        for path, value in options.settings().items():
            if options.config and path.endswith("endpoints") and not value:
                continue  # the file says it
            config.insert_json5(path, json.dumps(value))
    except zenoh.ZError as error:
        raise ArgumentError(f"Zenoh does not take this configuration: {plain(error)}") from None
    return None if check else zenoh.open(config)


def plain(error: Exception) -> str:
    """Return what Zenoh says of an error, without where in its source it says so."""
    return str(error).split(" at /")[0].strip()


class Access:
    """A session.

    Args:
        session: Zenoh's.
        keys: the keys of a space.

    Attributes:
        zenoh: the module.
        closed: whether it was closed.
    """

    def __init__(self, session: Any, keys: Keys) -> None:
        import zenoh

        self.zenoh: Any = zenoh
        self.session = session
        self.keys = keys
        self.closed = False
        self._workers = ThreadPoolExecutor(WORKERS, "ipcpy bridge zenoh")

    def direct(self, function: Callable[[Any], None]) -> Any:
        """Return a handler that is called in Zenoh's thread, with no queue between that could grow."""

        def guarded(event: Any) -> None:
            try:
                function(event)
            except Exception:  # a defect, which is to cost one event and no more
                log.exception("what Zenoh told could not be taken")

        return self.zenoh.handlers.Callback(guarded, indirect=False)

    def submit(self, function: Callable[..., None], *arguments: Any) -> None:
        """Have a worker call a function."""

        def guarded() -> None:
            try:
                function(*arguments)
            except self.zenoh.ZError as error:
                log.debug("Zenoh: %s", error)
            except Exception:
                log.exception("a question could not be asked or answered")

        with contextlib.suppress(RuntimeError):  # it is being closed
            self._workers.submit(guarded)

    def undeclare(self, *declared: Any) -> None:
        """Undeclare what was declared; None is nothing."""
        for each in declared:
            if each is not None:
                with contextlib.suppress(self.zenoh.ZError):
                    each.undeclare()

    def close(self) -> None:
        """Close the session, and with it all that is declared."""
        self.closed = True
        self._workers.shutdown(wait=False, cancel_futures=True)
        with contextlib.suppress(self.zenoh.ZError):
            self.session.close()
