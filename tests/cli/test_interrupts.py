"""Ctrl-C and SIGTERM at any moment: while modules are loaded, at work, and when an exception would get lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from ipcpy.cli.interrupts import ReaderGone, Terminated, signals_raised

NUMBERS = {signal.SIGINT: 130, signal.SIGTERM: 143}
# The interpreter's own start, before a line of ipcpy runs, is not in our hands: a byte says when ours begins.
COMMAND = """
import os
from ipcpy.cli import main
from ipcpy.cli.interrupts import leave_at_once
leave_at_once()
os.write(2, b"!")
main()
"""
ROBOT = """
    import time
    import ipcpy as ipc
    pub = ipc.Publisher("beat", keep=1)
    print("ready", flush=True)
    while True:
        pub.publish(1)
        time.sleep(0.001)
"""
COMMANDS = [
    "echo beat",
    "echo beat --json",
    "hz beat",
    "delay **",
    "list",
    "list --watch",
    "nodes",
    "info beat",
    "doctor",
    "pub cmd 1",
    "pub beat 1 --rate 100",
    "demo",
]
ROUNDS = 400 if os.environ.get("LONG_TESTS") else 25


def test_a_signal_at_any_moment_ends_a_command_with_its_code_and_no_traceback(spawn):
    spawn(ROBOT).wait_line("ready")
    chance = random.Random(20261123)
    environment = {**os.environ, "COLUMNS": "120"}
    for _ in range(ROUNDS):
        command, number, pause = chance.choice(COMMANDS), chance.choice(list(NUMBERS)), chance.random() ** 3
        started = [sys.executable, "-c", COMMAND, *command.split()]
        pipe = subprocess.PIPE
        with subprocess.Popen(started, stdout=pipe, stderr=pipe, env=environment) as process:
            assert process.stderr.read(1) == b"!"
            time.sleep(pause)  # the moment is what is tested
            process.send_signal(number)
            _, said = process.communicate(timeout=30)
        # it may have been done before; when Python itself is ending, the system ends it, which shells call the same
        codes = {NUMBERS[number], -number, 0, 3, 4}
        assert process.returncode in codes, (command, pause, said)
        assert b"Traceback" not in said and b"Exception" not in said, (command, pause, said)


@pytest.mark.parametrize(("number", "code"), NUMBERS.items(), ids=["int", "term"])
def test_while_modules_are_loaded_a_signal_ends_it_at_once(spawn, number, code):
    process = spawn("""
        import sys
        import ipcpy.cli
        class Slow:
            def find_spec(self, name, path, target=None):
                if name == "click":
                    print("loading", flush=True)
                    sys.stdin.read()
        sys.meta_path.insert(0, Slow())
        sys.argv = ["ipcpy", "list"]
        ipcpy.cli.main()
    """)
    process.wait_line("loading")
    process.signal(number)
    assert process.wait() == code
    assert process.stderr == ""


def test_what_the_caller_of_a_command_ignores_stays_ignored(spawn):
    process = spawn(["sh", "-c", f"trap '' INT; exec {sys.executable} -m ipcpy.cli pub cmd 1 --timeout 1"])
    spawn([sys.executable, "-m", "ipcpy.cli", "list", "--watch"]).wait_line(r"\+ cmd  publisher of ipcpy-pub")
    process.signal(signal.SIGINT)
    assert process.wait() == 3


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_is_raised_once_and_the_handlers_are_given_back(number, kind):
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)]
    hook = sys.unraisablehook
    closed = False
    with pytest.raises(kind), signals_raised(1):
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(signal.SIGINT)  # an impatient user: what closes is not cut short
            closed = True
    assert closed
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)] == before
    assert sys.unraisablehook is hook


def test_an_exception_that_got_lost_is_raised_again(capfd):
    class Swallows:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), signals_raised():
        del (made := [Swallows()])[0]
        assert made == []  # the exception of within __del__ ended nothing
        threading.Event().wait(20.0)
    assert capfd.readouterr().err == ""


def test_a_pipe_that_nobody_reads_is_noticed_though_nothing_is_written():
    reader, writer = os.pipe()
    try:
        with pytest.raises(ReaderGone), signals_raised(writer):
            os.close(reader)
            threading.Event().wait(20.0)
    finally:
        os.close(writer)


def test_other_threads_have_no_signals():
    done = []

    def use():
        with signals_raised():
            done.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert done == [signal.getsignal(signal.SIGINT)]
