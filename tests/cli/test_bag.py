"""``ipcpy bag``: what it shows of recordings, and what it makes of them."""

from __future__ import annotations

import json
from collections import namedtuple

import pytest

import tapes
from commands import apart
from ipcpy.bag.bag import Bag
from ipcpy.cli.program import program
from ipcpy.codec import MsgLibrary

Imu = namedtuple("Imu", "gx gy gz")
IMU = MsgLibrary({23: ("<3f", Imu)})


@pytest.fixture
def drive(tmp_path):
    path = tmp_path / "drive.mcap"
    with tapes.tape(path, chunk_size=1000) as tape:
        for n in range(101):
            tape.add("robot/imu", Imu(n, 0, 0), n / 10, IMU, node="driver", host="robot7")
            if n % 20 == 0:
                tape.add("state", {"n": n}, n / 10)
        books = {"topic": "robot/imu", "received": 101, "lost": {"network": 1200}}
        about = {"node": "recorder", "host": "robot7", "reason": "imu fell silent"}
        tape.writer.add_metadata("ipcpy", about)
        tape.writer.add_metadata("ipcpy.books", {"ab": json.dumps(books)})
    return path


def run(*arguments):
    done = apart().invoke(program, ["bag", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def test_info_shows_topics_rates_and_whence(drive):
    code, out, _ = run("info", drive)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == str(drive)
    assert lines[1].startswith("107 messages, ")
    assert lines[1].endswith(" kB, 10.00 s")
    assert "written by recorder on robot7 with ipcpy test" in lines
    assert "because of: imu fell silent" in lines
    rows = [line.split() for line in lines if line.startswith(("robot/imu", "state"))]
    assert rows[0] == ["robot/imu", "101", "10.1", "ipcpy_msgs/msg/Imu", "1,200", "network", "driver@robot7"]
    assert rows[1][:3] == ["state", "6", "0.6"]


def test_info_writes_large_rates_in_full(tmp_path):
    with tapes.tape(tmp_path / "fast.mcap") as tape:
        for n in range(1801):
            tape.add("imu", n, n / 1800)
    _, out, _ = run("info", tmp_path / "fast.mcap")
    assert next(line.split()[:3] for line in out.splitlines() if line.startswith("imu")) == ["imu", "1,801", "1,801"]


def test_info_as_json_has_everything(drive):
    code, out, _ = run("info", drive, "--json")
    told = json.loads(out)
    assert (code, told["messages"], told["damage"], told["files"]) == (0, 107, [], [str(drive)])
    assert told["start_ns"] == tapes.START
    assert told["end_ns"] == tapes.START + 10_000_000_000
    imu = told["topics"][0]
    assert (imu["name"], imu["messages"], imu["codec"], imu["encoding"]) == ("robot/imu", 101, "struct", "cdr")
    assert imu["publishers"][0]["node"] == "driver"
    assert imu["lost"] == {"network": 1200}


def test_info_says_what_is_wrong(drive):
    data = drive.read_bytes()
    drive.write_bytes(data[: len(data) // 2])
    code, out, err = run("info", drive)
    assert code == 0
    assert "the file was not closed" in out
    assert "'ipcpy bag recover'" in out
    assert err == ""


def test_recover_makes_a_whole_file_beside_it(drive, tmp_path):
    data = drive.read_bytes()
    drive.write_bytes(data[: len(data) // 2])
    code, _, err = run("recover", drive)
    assert code == 0
    target = tmp_path / "drive.recovered.mcap"
    with Bag(target) as bag:
        assert bag.verify() == ()
        assert f"recovered {len(bag)} messages into {target}" in err
        assert len(bag) > 20
    assert drive.read_bytes() == data[: len(data) // 2]
    code, _, err = run("recover", drive)
    assert code == 2
    assert "is there already; choose another name, or --force" in " ".join(err.split())
    assert run("recover", drive, "--force")[0] == 0


def test_recover_leaves_a_whole_file_alone(drive, tmp_path):
    code, _, err = run("recover", drive)
    assert (code, err) == (0, f"{drive} is whole: 107 messages, nothing to recover\n")
    assert list(tmp_path.iterdir()) == [drive]


def test_recover_finds_a_chunk_that_is_broken_though_the_summary_is_there(drive):
    data = bytearray(drive.read_bytes())
    data[1200] ^= 0xFF
    drive.write_bytes(data)
    code, _, err = run("recover", drive)
    assert code == 0
    assert "recovered " in err
    assert "from byte " in err


def test_cut_takes_topics_and_a_span(drive, tmp_path):
    target = tmp_path / "part.mcap"
    code, _, err = run("cut", drive, "-o", target, "--start", "2", "--end", "0:04", "-t", "robot/*")
    assert (code, err) == (0, f"wrote 20 messages into {target}\n")
    with Bag(target) as bag:
        assert [message.data.gx for message in bag.messages()] == list(range(20, 40))


def test_merge_makes_one_of_several(drive, tmp_path):
    for n, end in enumerate(("5", "-0")):
        run("cut", drive, "-o", tmp_path / f"{n}.mcap", "--start", "5" if n else "0", "--end", end)
    code, _, err = run("merge", tmp_path / "0.mcap", tmp_path / "1.mcap", "-o", tmp_path / "both.mcap")
    assert code == 0
    assert "wrote 105 messages" in err  # the end is the first moment that is not wanted
    assert run("merge", tmp_path / "0.mcap", "-o", tmp_path / "both.mcap")[0] == 2
    assert run("merge", tmp_path / "0.mcap", "-o", tmp_path / "both.mcap", "--force")[0] == 0


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (None, 1, "No such file or directory"),
        (b"", 1, "is empty: nothing was ever written to it"),
        (b"hello world, this is text", 1, "is no MCAP file: it begins with"),
        (b"#ROSBAG V2.0\n", 1, "a bag of ROS 1: 'rosbags-convert'"),
    ],
    ids=["missing", "empty", "text", "rosbag"],
)
@pytest.mark.parametrize("command", ["info", "recover"])
def test_bad_files_are_a_sentence(tmp_path, command, content, code, words):
    path = tmp_path / "x.mcap"
    if content is not None:
        path.write_bytes(content)
    found, out, err = run(command, path)
    assert found == code
    assert words in err
    assert out == ""


def test_a_folder_and_an_unknown_topic_are_wrong_usage(drive, tmp_path):
    code, _, err = run("info", tmp_path)
    assert code == 2
    assert "name the files in it (drive.mcap)" in " ".join(err.split())
    code, _, err = run("cut", drive, "-o", tmp_path / "x.mcap", "-t", "gps")
    assert code == 2
    assert "no topic 'gps'" in err
    assert not (tmp_path / "x.mcap").exists()


def test_info_says_how_far_the_clocks_were_ahead(tmp_path):
    path = tmp_path / "clocks.mcap"
    with tapes.tape(path) as tape:
        tape.add("imu", 1, node="driver", node_id="77", host="robot7", sent=7200.0)
        trace = [[[tapes.START - 10**9, 7200 * 10**9, 100_000, 0], [tapes.START + 10**9, 7200 * 10**9, 100_000, 0]]]
        tape.writer.add_metadata("ipcpy.clocks", {"77": json.dumps(trace)})
    assert "clock of driver@robot7: +7,200.0000 s ± 100 µs" in run("info", path)[1].splitlines()
    told = json.loads(run("info", "--json", path)[1])
    assert told["clocks"] == {"driver@robot7": {"offset": 7200.0, "bound": 0.0001}}
    with Bag(path) as bag:
        (message,) = bag.messages()
        delay = bag.delay(message)
        assert delay.seconds <= delay.bound < 0.0002
