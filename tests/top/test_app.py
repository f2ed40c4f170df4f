"""The program as a whole: on a real terminal of 80 × 24, and however it ends the terminal is as it was."""

from __future__ import annotations

import logging
import signal
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("textual", reason="needs ipcpy[top]")
if sys.platform == "win32":
    pytest.skip("a terminal of its own is Unix's", allow_module_level=True)

from flowing import MadeUpNode, Pair
from ipcpy.overview.fleet import Fleet
from ipcpy.top import app as app_module
from ipcpy.top.app import Top, run
from terminal import PYTHON, Terminal, lines, piloted, remark, until

TOP = [PYTHON, "-m", "ipcpy.cli", "top"]
ALTERNATE, CURSOR, PASTE = 1049, 25, 2004  # private modes: the other screen, the cursor that is shown, pasted text
ROBOT = """
    import sys, threading
    import ipcpy as ipc
    pub, sub = ipc.Publisher("robot/imu"), ipc.Subscriber("robot/imu")
    print("ready", flush=True)
    rate = ipc.Rate(50)
    threading.Thread(target=sys.stdin.read, daemon=True).start()
    for _ in rate:
        pub.publish({"gz": 0.5})
        sub.latest()
"""


@pytest.fixture
def terminal():
    """Open terminals with a program each, and close them in the end."""
    opened = []

    def open_one(command=TOP, **env):
        opened.append(Terminal(command, **{"TERM": "xterm-256color", **env}))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def assert_clean(terminal):
    assert terminal.as_before
    assert terminal.switched(ALTERNATE) == b"l"
    assert terminal.switched(CURSOR) == b"h"
    assert terminal.switched(PASTE) == b"l"


@pytest.mark.parametrize(
    ("end", "code"),
    [(b"q", 0), (b"\x03", 130), (signal.SIGTERM, 143), (signal.SIGINT, 130)],
    ids=["q", "ctrl+c", "SIGTERM", "SIGINT"],
)
def test_whatever_ends_it_the_terminal_is_as_before(terminal, end, code):
    shown = terminal()
    shown.until(lambda: b"ipcpy top" in shown.shown and b" help" in shown.shown)
    if isinstance(end, bytes):
        shown.type(end)
    else:
        shown.process.send_signal(end)
    assert shown.end() == code
    assert_clean(shown)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_ctrl_z_stops_it_with_the_terminal_as_before_and_it_goes_on(terminal):
    shown = terminal()
    shown.until(lambda: b" help" in shown.shown)
    shown.type(b"\x1a")
    shown.until(lambda: _state(shown.process.pid) == "T" and shown.as_before)
    assert_clean(shown)
    shown.shown = b""
    shown.process.send_signal(signal.SIGCONT)
    shown.until(lambda: shown.switched(ALTERNATE) == b"h" and b" help" in shown.shown)
    shown.type(b"q")
    assert shown.end() == 0
    assert_clean(shown)


def test_an_exception_is_shown_after_the_terminal_is_as_before(terminal, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import sys
            import ipcpy as ipc
            from ipcpy.overview.fleet import Fleet
            from ipcpy.top.app import run

            class Node:
                domain, id, closed = "lab", "0" * 16, False
                close = nodes = topics = lambda self: ()
                async def flows_async(self, *, timeout):
                    raise ZeroDivisionError("a fault of ours")

            sys.exit(run(Fleet(lambda domain: Node())))
            """
        )
    )
    shown = terminal([PYTHON, str(program)])
    assert shown.end() == 1
    assert_clean(shown)
    left = shown.shown.rindex(b"\x1b[?1049l")
    assert b"a fault of ours" in shown.shown[left:]


def test_a_vt100_without_colours_shows_a_topic_and_its_rate(terminal, spawn):
    spawn(ROBOT).wait_line("ready")
    shown = terminal(NO_COLOR="1", TERM="vt100")
    shown.until(lambda: b"robot/imu" in shown.shown)
    shown.type(b"\r")
    shown.until(lambda: b"gz" in shown.shown and b"message " in shown.shown)
    shown.type(b"q")
    assert shown.end() == 0
    assert_clean(shown)
    colours = [each for each in _styles(shown.shown) if 30 <= each <= 38 or 40 <= each <= 48 or each >= 90]
    assert colours == []


def test_a_terminal_without_unicode_gets_none(terminal, spawn):
    spawn(ROBOT).wait_line("ready")
    shown = terminal(PYTHONIOENCODING="ascii")
    shown.until(lambda: b"robot/imu" in shown.shown)
    shown.type(b"\r")
    shown.until(lambda: b"now" in shown.shown)
    shown.type(b"q")
    assert shown.end() == 0
    assert shown.shown.isascii()


def test_what_the_log_says_stands_in_the_picture_and_not_across_it():
    app = Top(Fleet(lambda _: MadeUpNode(Pair("imu"))))

    async def test(pilot):
        await until(pilot, lambda: app.read)
        app.note("multicast is refused on eth0")
        await until(pilot, lambda: remark(app) == "multicast is refused on eth0")

    piloted(app, test)


def test_a_reading_that_comes_after_the_end_is_shown_to_nobody():
    app = Top(Fleet(lambda _: MadeUpNode(Pair("imu"))))

    async def test(pilot):
        await until(pilot, lambda: app.read)

    piloted(app, test)
    app._renew()  # as when the answers come while the screens are taken down


def test_domains_beyond_those_that_are_looked_at_are_told():
    many = tuple(f"d{number:03}" for number in range(50))
    app = Top(Fleet(lambda domain: MadeUpNode(domain=domain or "lab", others=many), everywhere=True))

    async def test(pilot):
        await until(pilot, lambda: "19 domains are not looked at" in remark(app))
        assert "in 32 domains" in lines(app)[0]

    piloted(app, test)


def test_while_it_runs_the_log_is_its_own_and_afterwards_as_it_was(monkeypatch, capsys):
    log = logging.getLogger("ipcpy")
    before = log.handlers[:], log.propagate

    async def play(top):
        logging.getLogger("ipcpy.node").warning("multicast is refused\non eth0")
        return list(top.remarks)

    monkeypatch.setattr(app_module, "_run", play)
    with Fleet(lambda _: MadeUpNode()) as fleet:
        assert run(fleet) == ["multicast is refused"]
    assert (log.handlers, log.propagate) == before
    assert capsys.readouterr().err == ""


def _state(pid):
    """Return what a process does, as Linux says it: T for stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _styles(shown):
    """Return the numbers of all styles (SGR) that were switched on."""
    found = []
    for part in shown.split(b"\x1b[")[1:]:
        numbers, sep, _ = part.partition(b"m")
        if sep and all(each in b"0123456789;" for each in numbers):
            found += [int(each) for each in numbers.split(b";") if each]
    return found
