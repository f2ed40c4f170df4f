"""Takes the pictures of ``ipcpy top`` in the docs: ``python docs/screenshots/top.py [FOLDER]``.

It starts a robot (``robot.py``) and the program itself, without a terminal around it; what they show is at work.
All of it stays on this computer, in a domain of its own.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DOMAIN = "robot7"
os.environ.update(IPCPY_DOMAIN=DOMAIN, IPCPY_INTERFACES="lo")

import ipcpy as ipc  # noqa: E402
from ipcpy.overview.fleet import Fleet  # noqa: E402
from ipcpy.top.app import Top  # noqa: E402

ROLES = ("camera", "imu", "detector", "planner", "motors", "logger")
SIZE = (80, 24)
PAST = 30  # seconds of a topic's past that a picture shows
WAIT = 90.0  # seconds for anything


async def take(app: Top, folder: Path) -> None:
    """Press keys and take pictures."""
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: any(len(row.history) >= PAST for row in app.overview.topics()))
        await pilot.press("home")
        while "imu lost" not in shown(app):
            await pilot.press("down")
            await pilot.pause(0.1)
        save(app, folder / "top.svg")
        await pilot.press("enter")
        await until(pilot, lambda: "gz:" in shown(app))
        await pilot.press("down", "down", "enter")
        await pilot.pause(12.0)
        save(app, folder / "top-topic.svg")


async def until(pilot: Any, condition: Callable[[], object]) -> None:
    """Let the program run until something is so."""
    end = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"not within {WAIT:g} s; the screen:\n{shown(pilot.app)}")
        await pilot.pause(0.1)


def shown(app: Top) -> str:
    """Return what stands on the screen."""
    text = re.sub(r"<style.*?</style>|<[^>]+>", "", app.export_screenshot(), flags=re.DOTALL)
    return text.replace("&#160;", " ")


def save(app: Top, path: Path) -> None:
    """Write a picture that loads nothing from anywhere: whoever looks at it has a font."""
    picture = app.export_screenshot(title="ipcpy top")
    picture = re.sub(r"@font-face\s*\{.*?\}|<!--.*?-->", "", picture, flags=re.DOTALL)
    picture = picture.replace("Fira Code, monospace", "monospace").replace("Fira Code", "monospace")
    path.write_text("\n".join(line.rstrip() for line in picture.splitlines() if line.strip()) + "\n", encoding="utf-8")


def main() -> None:
    """Start everything, take the pictures, end everything."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent
    robot = [subprocess.Popen([sys.executable, str(HERE / "robot.py"), role]) for role in ROLES]
    try:
        with Fleet(lambda domain: ipc.Node("ipcpy-top", domain=domain)) as fleet:
            asyncio.run(take(Top(fleet), folder))
    finally:
        for process in robot:
            process.terminate()
        for process in robot:
            process.wait(30)


if __name__ == "__main__":
    main()
