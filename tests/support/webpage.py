"""The page of ``ipcpy web`` in a browser, for tests: a server in this process, and one browser for a file of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ipcpy as ipc
from chromium import Browser, Page


def row(topic: str) -> str:
    """Return the selector of a topic's row."""
    escaped = topic.replace("\\", "\\\\").replace('"', '\\"')
    return f'tr[data-topic="{escaped}"]'


class Pages:
    """A server that can be stopped and started again at the same address, and the pages that were opened there."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._browser, self._folder = browser, folder
        self._opened: list[Page] = []
        self._here: list[str] = []
        self._port = 0
        self.start()

    def start(self, *domains: str, everywhere: bool = False, **options: Any) -> None:
        """Start the server, for the domain of the tests or for some."""
        from ipcpy.overview.fleet import Fleet
        from ipcpy.web.server import WebServer

        self._fleet = Fleet(lambda domain: ipc.Node("web", domain=domain), domains, everywhere=everywhere)
        self.server = WebServer(self._fleet, port=self._port, folder=self._folder, **options)
        self._port = self.server.port

    def stop(self) -> None:
        """Stop it."""
        self.server.close()
        self._fleet.close()

    def open(self, url: str = "", *, elsewhere: bool = False, **options: Any) -> Page:
        """Return a new page of the server, which works; or one of an address, perhaps ``elsewhere``, as it is."""
        page = self._browser.open(url or self.server.url, **options)
        self._opened.append(page)
        if elsewhere:
            self._here.append(url.removeprefix("http://"))
        if not url:
            page.wait("globalThis.ipcpy?.store.hello && document.querySelector('#state').dataset.state === 'connected'")
        return page

    def close(self) -> None:
        """Close the pages and the server. A page asks nobody but this server for anything."""
        asked = {address for page in self._opened for address in page.requests}
        for page in self._opened:
            page.close()
        self.stop()
        self._here.append(f"127.0.0.1:{self._port}/")
        here = [f"{scheme}://{place}" for place in self._here for scheme in ("http", "ws")]
        assert [address for address in asked if not address.startswith((*here, "about:"))] == []


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """One browser for the tests of a file."""
    for name in ("aiohttp", "PIL", "prometheus_client"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'ipcpy[web]'")
    with Browser() as browser:
        yield browser


@pytest.fixture
def pages(chrome: Browser, tmp_path: Path) -> Iterator[Pages]:
    """A server and its pages."""
    made = Pages(chrome, tmp_path)
    yield made
    made.close()
