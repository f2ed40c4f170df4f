"""``ipcpy play``: a recording is published again, and a keyboard steers it."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import namedtuple

import pytest

import tapes
from commands import apart
from ipcpy.cli.program import program
from ipcpy.codec import MsgLibrary

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
Imu = namedtuple("Imu", "gx gy")
IMU = MsgLibrary({23: ("<2f", Imu)})
SUBSCRIBER = """
    import sys
    import ipcpy as ipc
    with ipc.Subscriber(sys.argv[1]) as sub:
        print("ready", flush=True)
        for message in sub:
            print(message.seq, message.topic, message.data, flush=True)
"""


@pytest.fixture
def drive(tmp_path):
    path = tmp_path / "drive.mcap"
    with tapes.tape(path) as tape:
        for n in range(20):
            tape.add("imu", Imu(n, 0.5), n / 50, IMU)
            tape.add("state", {"n": n}, n / 50)
    return path


@pytest.fixture
def heard(spawn):
    def heard(topic):
        process = spawn(SUBSCRIBER, topic)
        process.wait_line("ready")
        return process

    return heard


def test_it_plays_to_whoever_is_there_at_the_pace_of_the_recording(drive, heard, spawn):
    subscriber = heard("imu")
    process = spawn([*IPCPY, "play", str(drive)])
    process.succeed()
    subscriber.wait_line(r"^1 imu Imu\(gx=0\.0, gy=0\.5\)$")
    subscriber.wait_line(r"^20 imu Imu\(gx=19\.0, gy=0\.5\)$")
    assert "played 40 messages on 2 topics, handed to subscribers 20 times" in process.stderr
    assert process.ended - process.started > 0.38


def test_topics_span_remap_and_rate(drive, heard, spawn):
    subscriber = heard("**")
    arguments = "-t state --start 0.1 --end 0.2 --remap state:=replay/state --rate max --json".split()
    told = json.loads(spawn([*IPCPY, "play", str(drive), *arguments]).succeed())
    assert (told["published"], told["handed"], told["topics"]) == (5, 5, ["replay/state"])
    subscriber.wait_line(r"^1 replay/state \{'n': 5\}$")
    subscriber.wait_line(r"^5 replay/state \{'n': 9\}$")


def test_it_waits_for_subscribers_and_says_who_is_missing(drive, heard, spawn):
    process = spawn([*IPCPY, "play", str(drive), "--wait", "1", "-t", "imu", "-r", "max"])
    subscriber = heard("imu")
    process.succeed()
    subscriber.wait_line("^20 imu")
    alone = spawn([*IPCPY, "play", str(drive), "--wait", "1", "--timeout", "0.1", "-t", "state"])
    assert alone.wait() == 3
    assert "0 of 1 subscribers of 'state'" in alone.stderr
    assert "Without --wait it is played to whoever is there" in alone.stderr


def test_it_says_when_nobody_listens(drive, spawn):
    process = spawn([*IPCPY, "play", str(drive), "-r", "max"])
    process.succeed()
    assert "nobody subscribed to any of it: --wait 1 waits for subscribers" in process.stderr


def test_a_loop_ends_by_ctrl_c(drive, heard, spawn):
    import signal

    subscriber = heard("imu")
    process = spawn([*IPCPY, "play", str(drive), "--loop", "-r", "max", "-t", "imu"])
    subscriber.wait_line("^(2[1-9]|[3-9][0-9]|[0-9]{3,}) imu")
    process.signal(signal.SIGINT)
    assert process.wait() == 130
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "0"], "'0' is no rate: 0.5, 2, or 'max'"),
        (["--rate", "fast"], "is no rate"),
        (["--remap", "imu=x"], "is no remapping: write OLD:=NEW"),
        (["--remap", "imu:=a b"], "a topic is a name"),
        (["-t", "gps"], "no topic 'gps'"),
        (["--keep", "-1"], "is not in the range"),
        (["--start", "x"], "is no moment"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(drive, arguments, words):
    done = apart().invoke(program, ["play", str(drive), *arguments])
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())


def test_notes_and_damage_are_said(tmp_path):
    path = tmp_path / "x.mcap"
    with tapes.foreign(path, chunk_size=10) as writer:
        channel = writer.register_channel("x", "flatbuffer", 0)
        for n in range(3):
            writer.add_message(channel, n, b"abcdefgh", n)
    path.write_bytes(path.read_bytes()[:-20])
    done = apart().invoke(program, ["play", str(path), "-r", "max"])
    assert done.exit_code == 0
    assert "x: its messages are bytes here: the encoding 'flatbuffer'" in done.stderr
    assert "was not closed" in done.stderr
    assert "played 3 messages on x" in done.stderr


# -- at a terminal ----------------------------------------------------------------------------------------------------


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, command):
        import pty

        self.pid, self._number = pty.fork()
        if not self.pid:
            os.execv(command[0], command)
        self.shown = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while True:
            try:
                data = os.read(self._number, 4096)
            except OSError:
                return
            if not data:
                return
            self.shown += data.decode()

    def press(self, keys):
        os.write(self._number, keys.encode())

    def wait(self):
        """Return the exit code."""
        _, status = os.waitpid(self.pid, 0)
        self._thread.join(20)
        os.close(self._number)
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def terminal():
    pytest.importorskip("pty", reason="takes a terminal of Unix")
    made = []

    def start(*arguments):
        made.append(Terminal([*IPCPY, "play", *map(str, arguments)]))
        return made[-1]

    yield start
    for each in made:
        try:
            os.kill(each.pid, 9)
            os.waitpid(each.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def test_keys_pause_step_and_quit(drive, heard, terminal, wait_until):
    subscriber = heard("imu")
    screen = terminal(drive, "--pause", "-t", "imu")
    wait_until(lambda: "paused" in screen.shown, timeout=20)
    screen.press("s")
    subscriber.wait_line("^1 imu")
    screen.press("\x1b[C")
    subscriber.wait_line("^2 imu")
    wait_until(lambda: "paused  2 messages" in screen.shown, timeout=20)
    screen.press("q")
    assert screen.wait() == 0
    assert "played 2 messages on imu" in screen.shown
    assert "space pause   s step" in screen.shown


def test_keys_resume_and_change_the_pace(tmp_path, heard, terminal, wait_until):
    with tapes.tape(tmp_path / "slow.mcap") as tape:
        for n in range(4):
            tape.add("imu", n, n * 1000)
    subscriber = heard("imu")
    screen = terminal(tmp_path / "slow.mcap", "-p")
    wait_until(lambda: "paused" in screen.shown, timeout=20)
    screen.press("++")
    screen.press(" ")
    wait_until(lambda: "4x" in screen.shown, timeout=20)
    subscriber.wait_line("^1 imu 0")
    screen.press("+")
    wait_until(lambda: "8x" in screen.shown, timeout=20)
    screen.press("-")
    screen.press(" ")
    wait_until(lambda: screen.shown.rfind("paused") > screen.shown.rfind("8x"), timeout=20)
    screen.press("q")
    assert screen.wait() == 0


def test_the_bar_fits_into_a_narrow_terminal(drive, terminal, wait_until, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    screen = terminal(drive, "--pause")
    wait_until(lambda: screen.shown.count("\r0.0 of 0.4 s [") > 1, timeout=20)
    screen.press("q")
    assert screen.wait() == 0
    bars = [piece.split("\x1b[K")[0] for piece in screen.shown.split("\r") if " s [" in piece]
    assert {len(bar) for bar in bars} == {39}


def test_the_terminal_is_as_it_was(drive, terminal, wait_until):
    screen = terminal(drive, "--pause")
    wait_until(lambda: "paused" in screen.shown, timeout=20)
    screen.press("\x03")
    assert screen.wait() == 130
    assert "Traceback" not in screen.shown
