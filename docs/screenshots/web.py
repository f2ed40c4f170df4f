"""Takes the pictures of ``ipcpy web`` in the docs: ``python docs/screenshots/web.py [FOLDER]``, on Linux with Chromium.

It starts a robot (``robot.py``), the server, and a browser without a window; what the pictures show is at work. All of
it stays on this computer, in a domain of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests/support"))
os.environ.update(IPCPY_DOMAIN=f"pictures{os.getpid()}", IPCPY_INTERFACES="lo")

from chromium import Browser, Page  # noqa: E402

ROLES = ("camera", "imu", "detector", "planner", "motors", "logger")
SIZE = (1280, 760)


def overview(page: Page, folder: Path) -> None:
    """Take the graph, the table and the panel of a topic, light and dark."""
    page.wait("document.querySelectorAll('.box').length >= 11")
    page.click("tr[data-topic='imu']")
    page.wait("document.querySelector('.tree .add')")
    page.wait("document.querySelectorAll('.link[data-loss=good]').length >= 8", timeout=60)
    time.sleep(25)  # so that the lines of the last minute are lines
    page.screenshot(folder / "web.png")
    page.theme("dark")
    page.key("Escape")
    page.key("2")
    time.sleep(1)
    page.screenshot(folder / "web-graph-dark.png")
    page.theme("light")


def plots(page: Page, folder: Path) -> None:
    """Take plots and an image."""
    for topic, field, apart in (("imu", "gz", "false"), ("cmd", "turn", "false"), ("odometry", "speed", "true")):
        found = f"[...ipcpy.store.topics.values()].find((each) => each.topic === '{topic}').id"
        page.evaluate(f"ipcpy.plots.add({found}, '{field}', {{ apart: {apart} }})")
    page.evaluate("ipcpy.images.add([...ipcpy.store.topics.values()].find((each) => each.topic === 'camera/front').id)")
    page.resize(SIZE[0], 1040)
    page.key("4")
    page.wait("document.querySelector('#plots .picture canvas').width > 1")
    time.sleep(20)
    page.screenshot(folder / "web-plots.png")


def main() -> None:
    """Start everything, take the pictures, end everything."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent
    robot = [sys.executable, str(HERE / "robot.py")]
    started = [subprocess.Popen([*robot, role]) for role in ROLES]
    serve = [sys.executable, "-m", "ipcpy", "web", "--port", "0"]
    server = subprocess.Popen(serve, stdout=subprocess.PIPE, text=True)
    started.append(server)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        with Browser() as browser:
            page = browser.open(url, width=SIZE[0], height=SIZE[1])
            overview(page, folder)
            plots(page, folder)
            assert not page.problems, page.problems
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


if __name__ == "__main__":
    main()
