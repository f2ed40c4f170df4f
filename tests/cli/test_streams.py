"""Standard streams that are closed, full, or of another encoding; and what standard input may be."""

from __future__ import annotations

import io
import os
import shlex
import sys

import pytest

from ipcpy.cli.streams import stdin_lines, stdout_pipe

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
COMMAND = shlex.join(IPCPY)
ROBOT = """
    import sys
    import ipcpy as ipc
    with ipc.Publisher("text/\u6f22", keep=1, node=ipc.Node("\u6f22")) as pub:
        pub.publish({"\u6f22": "\u00e4\u6f22\\u2028"})
        print("ready", flush=True)
        sys.stdin.read()
"""
TOPIC = "text/\u6f22"
COMMANDS = [f"echo {TOPIC} -n 1", f"echo {TOPIC} --json -n 1", f"hz {TOPIC} -n 1", f"bw {TOPIC} -n 1",
            f"delay {TOPIC} -n 1", "list", "nodes", f"info {TOPIC}", f"pub {TOPIC} \u6f22 --wait 0",
            "demo --duration 0.1", "--help", "doctor --timeout 0"]  # fmt: skip


@pytest.fixture
def robot(spawn):
    process = spawn(ROBOT)
    process.wait_line("ready")


@pytest.mark.parametrize("command", COMMANDS)
def test_what_an_encoding_lacks_is_an_escape(robot, spawn, command):
    process = spawn([*IPCPY, *command.split()], env={"PYTHONIOENCODING": "cp1252:strict"})
    assert process.wait(30.0) in (0, 4, 5)
    assert "Traceback" not in process.stderr


def test_the_escape_is_that_of_python(robot, spawn):
    printed = spawn([*IPCPY, "echo", TOPIC, "-n", "1"], env={"PYTHONIOENCODING": "latin-1"}).succeed()
    assert printed.splitlines()[0].startswith(r"text/\u6f22 #1")
    assert r"\u6f22" in printed.splitlines()[1]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("closed", ["2>&-", "<&- >&-"])
def test_closed_streams_are_no_traceback(robot, spawn, command, closed):
    process = spawn(["sh", "-c", f"{COMMAND} {command} {closed}; exit $?"])
    assert process.wait(30.0) in (0, 4, 5)
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_code_1_and_a_sentence(robot, spawn, command):
    process = spawn(["sh", "-c", f"{COMMAND} {command}{' --json' if 'pub' in command else ''} > /dev/full"])
    assert process.wait(30.0) == 1
    assert "No space left on device" in process.stderr
    assert "Traceback" not in process.stderr and "Exception" not in process.stderr


def test_a_socket_does_not_get_the_number_of_a_closed_stream(spawn, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os\n"
        "from ipcpy.cli.streams import mended\n"
        "with mended():\n"
        "    os.write(2, ' '.join(os.readlink(f'/proc/self/fd/{number}') for number in (0, 1)).encode())\n"
    )
    process = spawn(["sh", "-c", f"{shlex.quote(sys.executable)} {shlex.quote(str(program))} <&- >&-"])
    assert process.wait() == 0
    assert process.stderr.strip() == "/dev/null /dev/null"


# -- standard input ----------------------------------------------------------------------------------------------------


@pytest.fixture
def lines_of(monkeypatch):
    def lines_of(data):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))
        return list(stdin_lines())

    return lines_of


@pytest.mark.parametrize(
    "data",
    [
        "ä\nb\n".encode(),
        "ä\nb".encode(),
        "ä\r\nb\r\n".encode(),
        "ä\nb\n".encode("utf-8-sig"),
        "ä\n".encode("utf-8-sig") + "b\n".encode("utf-8-sig"),  # cat of two files
        "ä\nb\n".encode("utf-16"),
        "ä\r\nb".encode("utf-16"),
        b"\xfe\xff" + "ä\nb\n".encode("utf-16-be"),
    ],
)
def test_lines_are_read_whatever_the_locale(lines_of, data):
    assert lines_of(data) == ["ä", "b"]


def test_no_line_is_read_of_nothing(lines_of):
    assert lines_of(b"") == []


def test_characters_that_look_like_the_end_of_a_line_are_none(lines_of):
    assert lines_of("a\u2028b\x0c\x85\n".encode()) == ["a\u2028b\x0c\x85"]
    assert lines_of("a\u010ab\u0a00\nc\n".encode("utf-16")) == ["a\u010ab\u0a00", "c"]  # their bytes have a 10


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\n", "not UTF-8 (byte 0xff at column 1)"),
        (b"abc\xe4\n", "not UTF-8 (byte 0xe4 at column 4)"),
        ("a\n".encode("utf-16-le"), "NUL"),
        ("a\n".encode("utf-32"), "UTF-32"),
        (b"\xff\xfea\0\0\xd8a\0", "not UTF-16"),
        (b"\xff\xfea", "not UTF-16"),
    ],
)
def test_other_bytes_are_a_sentence(lines_of, data, words):
    with pytest.raises(ValueError) as caught:
        lines_of(data)
    assert words in str(caught.value)


def test_only_a_pipe_has_a_reader_that_may_go(monkeypatch, tmp_path):
    reader, writer = os.pipe()
    with open(reader, "rb"), open(writer, "w") as pipe, open(tmp_path / "file", "w") as file:
        monkeypatch.setattr("sys.stdout", pipe)
        assert stdout_pipe() == writer
        monkeypatch.setattr("sys.stdout", file)
        assert stdout_pipe() is None
    for none in (None, io.StringIO()):
        monkeypatch.setattr("sys.stdout", none)
        assert stdout_pipe() is None
