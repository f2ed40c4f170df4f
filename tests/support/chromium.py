"""A real browser without a window: headless Chromium, driven over a pipe by the DevTools protocol.

Knows Chromium and its protocol (https://chromedevtools.github.io/devtools-protocol/); nothing of ipcpy and no pytest.
The pipe needs no port and no library. The browser looks nothing up: it resolves no names, and its background networking
is off.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tools

SWITCHES = [
    "--headless",
    "--remote-debugging-pipe",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-features=DialMediaRouteProvider,MediaRouter,OptimizationHints,Translate",
    "--disable-gpu",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--mute-audio",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    "--no-proxy-server",
    "--password-store=basic",
]
# Chromium reads commands from descriptor 3 and answers on 4
_WRAPPER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
ANSWER = 60.0  # seconds for any one answer: a busy machine starts a renderer in ten


class PageError(Exception):
    """The page, or the browser, refused what was asked of it."""


class Browser:
    """A browser of its own profile; ``close`` ends it and leaves nothing behind."""

    def __init__(self) -> None:
        tools.need("chromium")
        self._profile = tempfile.mkdtemp(prefix="ipcpy-chromium-")
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (commands, answers)]
        switches = [*SWITCHES, f"--user-data-dir={self._profile}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        words = [tools.find("chromium") or "chromium", *switches, "about:blank"]
        environment = {**os.environ, "HOME": self._profile, "TMPDIR": self._profile}
        environment.pop("DISPLAY", None)
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WRAPPER, *map(str, ends), *words],
            pass_fds=ends,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=environment,
            start_new_session=True,
        )
        for end in (commands, answers, *ends):
            os.close(end)
        self._number = 0
        self._read = b""
        self._told: dict[int, dict[str, Any]] = {}
        self.pages: dict[str, Page] = {}
        try:
            self.call("Browser.getVersion")
        except PageError as error:
            self.close()
            if "sandbox" in str(error):
                raise tools.Unavailable(f"Chromium does not start for this user: {error}") from None
            raise

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Ask for something, and return the answer.

        Raises:
            PageError: the answer is an error, or none came.
        """
        self._number += 1
        number = self._number
        asked = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        with contextlib.suppress(BrokenPipeError):  # it has ended, which _take tells
            data = json.dumps(asked).encode() + b"\0"
            while data:
                data = data[os.write(self._commands, data) :]
        end = time.monotonic() + ANSWER
        while number not in self._told:
            self._take(end - time.monotonic(), method)
        told = self._told.pop(number)
        if "error" in told:
            raise PageError(f"{method}: {told['error'].get('message')}")
        found: dict[str, Any] = told["result"]
        return found

    def open(self, url: str, *, width: int = 1280, height: int = 800, dark: bool = False) -> Page:
        """Return a new page that has begun to load an address."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        page.resize(width, height)
        page.theme("dark" if dark else "light")
        page.call("Page.navigate", url=url)
        return page

    def close(self) -> None:
        """End the browser and all its processes."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(30)
        for end in (self._commands, self._answers):
            os.close(end)
        self._log.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    def processes(self) -> list[int]:
        """Return the ids of its processes (Linux)."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.getpgid(int(entry.name)) == self._process.pid:
                    found.append(int(entry.name))
        return found

    def _take(self, timeout: float, method: str) -> None:
        """Read what the browser says, once."""
        if timeout <= 0 or not select.select([self._answers], [], [], timeout)[0]:
            raise PageError(f"{method}: no answer in {ANSWER:.0f} s")
        data = os.read(self._answers, 1 << 20)
        if not data:
            self._log.seek(0)
            raise PageError(f"{method}: Chromium has ended: {self._log.read()[-2000:].decode(errors='replace')}")
        *whole, self._read = (self._read + data).split(b"\0")
        for message in whole:
            told = json.loads(message)
            if "id" in told:
                self._told[told["id"]] = told
            elif (page := self.pages.get(told.get("sessionId", ""))) is not None:
                page.happened(told["method"], told["params"])


class Page:
    """A page of a browser.

    Attributes:
        problems: what went wrong in it: exceptions, errors on its console, whatever its policy forbade.
        requests: the addresses that it has asked for.
    """

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser, self._session, self._target = browser, session, target
        self.problems: list[str] = []
        self.requests: list[str] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask for something that concerns this page."""
        return self._browser.call(method, self._session, **parameters)

    def close(self) -> None:
        """Close it."""
        self._browser.call("Target.closeTarget", targetId=self._target)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page, that of a promise when it is kept."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            details = told["exceptionDetails"]
            raise PageError(f"{details.get('exception', {}).get('description', details['text'])}\nin: {expression}")
        return told["result"].get("value")

    def wait(self, expression: str, timeout: float = 30.0) -> Any:
        """Return the value of an expression once it is true.

        Raises:
            PageError: it was not, for so long; the text has what the page shows.
        """
        end = time.monotonic() + timeout
        while not (value := self._try(expression)) and value != {}:  # an element
            if time.monotonic() > end:
                shown = self._try("document.body?.innerText.slice(0, 1500)")
                problems = list(dict.fromkeys(self.problems))[:5]
                raise PageError(f"not true after {timeout} s: {expression}\nproblems: {problems}\nshown: {shown}")
            time.sleep(0.03)
        return value

    def _try(self, expression: str) -> Any:
        with contextlib.suppress(PageError):  # while it loads, there is not all of it
            return self.evaluate(expression)
        return None

    def resize(self, width: int, height: int) -> None:
        """Make the window as large as this."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def theme(self, name: str) -> None:
        """Let the system be ``light`` or ``dark``."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def reload(self) -> None:
        """Load it again."""
        self.call("Page.reload")

    def key(self, key: str, text: str | None = None) -> None:
        """Press a key: ``a``, ``/``, ``Enter``, ``Escape``."""
        codes = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), "ArrowDown": (40, ""), " ": (32, " ")}
        code, types = codes.get(key, (ord(key[0].upper()), key if len(key) == 1 else ""))
        types = types if text is None else text
        base = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **base, **({"text": types} if types else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **base)

    def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        self.call("Input.insertText", text=text)

    def click(self, selector: str, *, count: int = 1) -> None:
        """Click at the middle of an element, which has to be there and to be seen."""
        x, y = self.middle(selector)
        for number in range(1, count + 1):
            self.mouse("mousePressed", x, y, count=number)
            self.mouse("mouseReleased", x, y, count=number)

    def middle(self, selector: str) -> tuple[float, float]:
        """Return where the middle of an element is, scrolled to."""
        found = self.wait(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); if (!e) return null;"
            " e.scrollIntoView({block: 'nearest'}); const b = e.getBoundingClientRect();"
            " return b.width && b.height ? [b.left + b.width / 2, b.top + b.height / 2] : null; })()"
        )
        return found[0], found[1]

    def mouse(self, kind: str, x: float, y: float, *, count: int = 1, **more: Any) -> None:
        """Do something with the left button: ``mousePressed``, ``mouseMoved``, ``mouseReleased``."""
        held = {} if kind == "mouseMoved" and "buttons" not in more else {"button": "left"}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, clickCount=count, **held, **more)

    def screenshot(self, path: Path) -> None:
        """Write what is seen as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def happened(self, method: str, told: dict[str, Any]) -> None:
        """Take an event."""
        if method == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
            self.problems.append(" ".join(str(each.get("value", each.get("description"))) for each in told["args"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.problems.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(told["url"])


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser, and end it."""
    with Browser() as started:
        yield started
