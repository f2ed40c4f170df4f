"""Start and stop of a recording by a page. Knows Recorder and one folder; nothing of requests.

A page chooses a name and topics, never a place: what it says is a file of the folder that the server was started in,
and no file that is there is overwritten.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipcpy as ipc

from .chronicle import Chronicle

__all__ = ["Recording", "can_record"]

_NAME = re.compile(r"[\w][\w.+-]{0,120}")


def can_record() -> bool:
    """Return whether the extra for recordings is installed."""
    from importlib.util import find_spec

    return all(find_spec(name) is not None for name in ("mcap", "zstandard", "lz4"))


class Recording:
    """The one recording that there may be at a time.

    Args:
        folder: where files are written.
        nodes: returns the node of a domain; None where there is none.
        chronicle: is told.
    """

    def __init__(self, folder: Path, nodes: Callable[[str], ipc.Node | None], chronicle: Chronicle) -> None:
        self._folder = folder
        self._nodes = nodes
        self._chronicle = chronicle
        self._recorder: ipc.Recorder | None = None
        self._lock = asyncio.Lock()
        self._state: dict[str, Any] = {"state": "off", "file": "", "text": ""}
        self._since = 0.0
        self._told = ""
        self._version = 0

    def state(self) -> dict[str, Any]:
        """Return how it stands."""
        told = {"kind": "record", "messages": 0, "bytes": 0, "since": self._since, **self._state}
        recorder = self._recorder
        if recorder is not None:
            stats = recorder.stats
            told |= {"messages": stats.messages, "bytes": stats.file_bytes, "lost": dict(stats.lost)}
            told |= {"disk_left": stats.disk_left}
            if recorder.failure is not None and self._state["state"] == "on":
                told |= {"state": "failed", "text": str(recorder.failure)}
        return told

    def news(self) -> tuple[int, str]:
        """Return how it stands as JSON, and a number that is higher with each change."""
        told = json.dumps(self.state(), separators=(",", ":"))
        if told != self._told:
            self._told = told
            self._version += 1
        return self._version, told

    async def start(self, said: Any) -> dict[str, Any]:
        """Begin.

        Args:
            said: ``{"file": name, "topics": [...], "domain": ...}``, each of which may be left out.

        Raises:
            ArgumentError: what is wrong.
            IpcError, OSError: it cannot be recorded.
        """
        name, topics, domain = _read(said)
        async with self._lock:
            if self._recorder is not None:
                raise ipc.ArgumentError(f"{self._state['file']} is being recorded already")
            node = self._nodes(domain)
            if node is None:
                raise ipc.ArgumentError(f"say which domain: {domain!r:.80} is none that is shown here")
            path = self._folder / (name or time.strftime("ipcpy-%Y%m%d-%H%M%S.mcap"))
            if os.path.lexists(path):
                raise ipc.ArgumentError(f"{path.name} is there already; choose another name")
            self._recorder = await asyncio.to_thread(ipc.Recorder, path, topics, node=node)
            self._since = time.time()
            self._state = {"state": "on", "file": self._recorder.path.name, "text": ""}
            self._chronicle.add("record", True, f"recording into {self._recorder.path.name} began", node.domain)
            return self.state()

    async def stop(self) -> dict[str, Any]:
        """End it, and return how it stands then.

        Raises:
            ArgumentError: nothing is recorded.
        """
        async with self._lock:
            recorder = self._recorder
            if recorder is None:
                raise ipc.ArgumentError("nothing is being recorded")
            self._state = {**self._state, "state": "stopping"}
            text = ""
            try:
                await asyncio.to_thread(recorder.close)
            except (ipc.IpcError, OSError) as error:
                text = str(error)
            told = self.state() | {"state": "failed" if text else "off", "text": text}
            self._recorder = None
            self._state = {key: told[key] for key in ("state", "file", "text", "messages", "bytes")}
            what = f"{told['file']} has {told['messages']:,} messages"
            self._chronicle.add("record", False, f"recording failed: {text}" if text else f"recording ended: {what}")
            return self.state()

    async def close(self) -> None:
        """End it if there is one."""
        if self._recorder is not None:
            await self.stop()


def _read(said: Any) -> tuple[str, list[str], str]:
    if not isinstance(said, dict):
        raise ipc.ArgumentError("what is recorded is said by a JSON object")
    unknown = said.keys() - {"file", "topics", "domain"}
    if unknown:
        raise ipc.ArgumentError(f"nothing is known of {', '.join(sorted(unknown))[:200]}")
    name, topics, domain = said.get("file") or "", said.get("topics", ["/**"]), said.get("domain") or ""
    if not isinstance(name, str) or (name and not _NAME.fullmatch(name)):
        raise ipc.ArgumentError(f"file is a name such as run.mcap, without a folder, got {name!r:.80}")
    if not isinstance(topics, list) or not topics or not all(isinstance(each, str) for each in topics):
        raise ipc.ArgumentError(
            f"topics are a list of names or patterns; without it all are recorded; got {topics!r:.80}"
        )
    if not isinstance(domain, str):
        raise ipc.ArgumentError(f"domain is a text, got {domain!r:.80}")
    whole = [each if each.startswith("/") else f"/{each}" for each in topics]
    return (name if not name or name.endswith(".mcap") else f"{name}.mcap"), whole, domain
