from __future__ import annotations

import sys
from collections import namedtuple
from pathlib import Path
from queue import Queue

import pytest

import ipcpy as ipc
from bags import metadata, read
from ipcpy.testing import MemoryNetwork

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

Imu = namedtuple("Imu", "x y")
LIBRARY = ipc.MsgLibrary({23: ("<2f", Imu)})


@pytest.fixture
def network():
    with MemoryNetwork() as network:
        yield network


@pytest.fixture
def boxes(network, tmp_path: Path):
    """Make black boxes that are closed at the end."""
    made = []

    def make(seconds: float = 60, path="crash.mcap", topics="imu", **options):
        given = {"after": 0, "node": network.node("box"), **options}
        made.append(ipc.BlackBox(seconds, tmp_path / path if path else None, topics, **given))
        return made[-1]

    yield make
    for each in made:
        each.close()


def publish(network, number: int, topic: str = "imu"):
    pub = ipc.Publisher(topic, LIBRARY, node=network.node("robot"))
    pub.wait_for_subscribers(timeout=10)
    for n in range(number):
        pub.publish(Imu(n, 0))
    return pub


def reasons(path: Path) -> str:
    return metadata(path, "ipcpy")[0]["reason"]


def test_what_is_kept_is_written_when_asked_for_and_it_goes_on(network, boxes, tmp_path: Path, wait_until) -> None:
    box = boxes()
    pub = publish(network, 10)
    wait_until(lambda: box.stats.messages == 10)
    assert box.dump("because") == tmp_path / "crash.mcap"
    assert [message.seq for message in read(tmp_path / "crash.mcap")] == list(range(1, 11))
    assert reasons(tmp_path / "crash.mcap") == "because"
    pub.publish(Imu(0, 0))
    wait_until(lambda: box.stats.messages == 11)
    assert box.dump() == tmp_path / "crash-2.mcap"
    assert len(list(read(tmp_path / "crash-2.mcap"))) == 11
    assert box.paths == (tmp_path / "crash.mcap", tmp_path / "crash-2.mcap")
    assert "<ipcpy.BlackBox " in repr(box)


def test_the_seconds_after_are_in_the_file_too(network, boxes, tmp_path: Path, wait_until) -> None:
    box = boxes(after=1.5)
    pub = publish(network, 3)
    wait_until(lambda: box.stats.messages == 3)
    assert box.dump(wait=False) is None
    for n in range(5):
        pub.publish(Imu(n, 0))
    wait_until(lambda: box.paths, timeout=20)
    assert len(list(read(box.paths[0]))) == 8


def test_an_exception_that_leaves_the_block_writes(network, boxes, tmp_path: Path, wait_until) -> None:
    with pytest.raises(ZeroDivisionError), boxes(after=30) as box:
        publish(network, 5)
        wait_until(lambda: box.stats.messages == 5)
        raise ZeroDivisionError("the arm")
    assert reasons(tmp_path / "crash.mcap") == "ZeroDivisionError: the arm"
    assert len(list(read(tmp_path / "crash.mcap"))) == 5


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_end_that_is_no_fault_writes_nothing(boxes, tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), boxes():
        raise error
    with boxes():
        pass
    assert list(tmp_path.iterdir()) == []


def test_one_line_writes_when_an_exception_ends_the_program(spawn, tmp_path: Path) -> None:
    path = tmp_path / "crash.mcap"
    program = spawn(
        f"""
        import ipcpy as ipc
        ipc.BlackBox(seconds=60, path={str(path)!r})
        pub = ipc.Publisher("arm/state")
        pub.wait_for_subscribers(timeout=10)
        for n in range(100):
            pub.publish({{"n": n}})
        1 / 0
        """
    )
    assert program.wait() == 1
    assert "ZeroDivisionError: division by zero" in program.report()
    assert reasons(path) == "ZeroDivisionError: division by zero"
    assert [message.seq for message in read(path) if message.topic == "arm/state"] == list(range(1, 101))


def test_a_forked_child_writes_nothing_and_ends(spawn, tmp_path: Path) -> None:
    folder = tmp_path / "boxes"
    folder.mkdir()
    program = spawn(
        f"""
        import os, sys, ipcpy as ipc
        box = ipc.BlackBox(seconds=60, path={str(folder)!r})
        child = os.fork()
        if not child:
            1 / 0
        print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        """
    )
    program.wait_line("child 1")
    assert program.wait() == 0
    assert list(folder.iterdir()) == []


def test_the_hook_of_before_is_called_and_put_back(boxes, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    hook = lambda *args: seen.append(args)  # noqa: E731 (compared below)
    monkeypatch.setattr(sys, "excepthook", hook)
    box = boxes()
    error = ValueError("x")
    sys.excepthook(ValueError, error, None)
    assert seen == [(ValueError, error, None)]
    box.close()
    assert sys.excepthook is hook
    assert len(box.paths) == 1


def test_triggers_write_and_tell(network, boxes, tmp_path: Path) -> None:
    told: Queue[object] = Queue()
    boxes(on_message="alarm", on_dump=lambda *args: told.put(args))
    publish(network, 1, "alarm")
    assert told.get(timeout=10) == (tmp_path / "crash.mcap", ("a message on alarm",))


def test_what_on_dump_raises_is_logged_and_stops_nothing(network, boxes, caplog) -> None:
    box = boxes(on_dump=lambda *_: 1 / 0)
    assert box.dump() is not None
    assert box.dump() is not None
    assert "on_dump of the black box failed" in caplog.text


def test_a_file_that_cannot_be_written_is_told(network, boxes, tmp_path: Path, caplog) -> None:
    (tmp_path / "away").mkdir()
    box = boxes(path="away/crash.mcap")
    (tmp_path / "away").rmdir()
    assert box.dump() is None
    assert "there is no directory" in caplog.text


def test_a_folder_takes_files_with_names_of_the_time(network, boxes, tmp_path: Path) -> None:
    box = boxes(path=".")
    assert box.dump().name.startswith("blackbox-20")
    assert box.dump() != box.paths[0]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"seconds": 0}, "seconds is a number of seconds above 0"),
        ({"seconds": "x"}, "seconds is a number of seconds"),
        ({"after": -1}, "after is a number of seconds from 0"),
        ({"size": 5}, "size is a number of bytes from 1048576"),
        ({"compression": "gzip"}, "compression is one of"),
        ({"topics": []}, "topics are names or patterns"),
        ({"path": "none/crash.mcap"}, "there is no directory"),
        ({"on_silence": {"imu": 0}}, "on_silence"),
    ],
)
def test_wrong_arguments_are_refused_and_leave_nothing(boxes, arguments, match: str) -> None:
    hook = sys.excepthook
    with pytest.raises(ipc.ArgumentError, match=match):
        boxes(**arguments)
    assert sys.excepthook is hook


def test_after_close_it_is_closed(boxes) -> None:
    box = boxes()
    box.close()
    box.close()
    assert repr(box) == "<ipcpy.BlackBox closed>"
    with pytest.raises(ipc.ClosedError):
        box.dump()


def test_close_completes_what_is_being_written(network, boxes, wait_until) -> None:
    box = boxes(after=60)
    publish(network, 5)
    wait_until(lambda: box.stats.messages == 5)
    box.dump(wait=False)
    box.close()
    assert len(list(read(box.paths[0]))) == 5
