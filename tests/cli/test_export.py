"""``ipcpy bag export``: CSV, JSON lines and arrays, which other programs read."""

from __future__ import annotations

import csv
import json
from collections import namedtuple

import pytest

import tapes
from commands import apart
from ipcpy.cli.program import program
from ipcpy.codec import MsgLibrary, Raw

np = pytest.importorskip("numpy", reason="needs ipcpy[numpy]")

Imu = namedtuple("Imu", "gx gy")
IMU = MsgLibrary({23: ("<2f", Imu)})


@pytest.fixture
def drive(tmp_path):
    path = tmp_path / "drive.mcap"
    with tapes.tape(path) as tape:
        for n in range(5):
            tape.add("robot/imu", Imu(n, n / 2), n, IMU)
            state = {"n": n, "pose": {"x": 1.5, "tags": ["a", "b"]}, "grid": np.arange(4).reshape(2, 2)}
            tape.add("state", state | ({"late": True} if n == 3 else {}), n)
            tape.add("raw", bytes([n]) * (3 if n else 100), n, Raw())
    return path


def run(*arguments):
    done = apart().invoke(program, ["bag", "export", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_csv_is_a_table_for_each_topic(drive, tmp_path):
    code, _, err = run(drive, "--csv")
    assert code == 0
    folder = tmp_path / "drive_csv"
    assert sorted(path.name for path in folder.iterdir()) == ["raw.csv", "robot_imu.csv", "state.csv"]
    assert f"wrote 5 messages of robot/imu into {folder / 'robot_imu.csv'}" in err
    imu = rows(folder / "robot_imu.csv")
    assert [(row["seq"], row["gx"], row["gy"]) for row in imu] == [
        (str(n + 1), str(float(n)), str(n / 2)) for n in range(5)
    ]
    assert imu[2]["received_ns"] == str(tapes.START + 2_000_000_000)
    state = rows(folder / "state.csv")
    assert (state[0]["pose.x"], state[0]["pose.tags[1]"], state[0]["grid[1][0]"]) == ("1.5", "b", "2")
    assert [row["late"] for row in state] == ["", "", "", "True", ""]
    assert [row["value"] for row in rows(folder / "raw.csv")][:2] == ["100 bytes", "010101"]


def test_lines_are_those_of_echo_which_pub_reads(drive, tmp_path):
    code, out, err = run(drive, "--jsonl", "-o", "-", "-t", "robot/imu", "--start", "1", "--end", "3")
    assert (code, err) == (0, "wrote 2 messages\n")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["data"] for line in lines] == [{"gx": 1.0, "gy": 0.5}, {"gx": 2.0, "gy": 1.0}]
    assert lines[0]["struct"]["format"] == "<2f"
    assert lines[0]["topic"] == "robot/imu"
    published = apart().invoke(program, ["pub", "--wait", "0", "--json"], input=out)
    assert json.loads(published.stdout) == {"topic": "robot/imu", "published": 2, "handed": 0}


def test_arrays_are_there_by_the_names_of_topics(drive, tmp_path):
    code, _, err = run(drive, "--npz", "-t", "robot/imu", "-t", "state", "--start", "3", "--end", "4")
    assert code == 0
    with np.load(tmp_path / "drive.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["robot/imu", "state"]
        assert arrays["robot/imu"]["gy"].tolist() == [1.5]
        assert arrays["state"]["grid"].shape == (1, 2, 2)
    assert "wrote 2 messages of 2 topics" in err


def test_a_topic_that_makes_no_array_is_left_out_and_told(tmp_path):
    with tapes.tape(tmp_path / "x.mcap") as tape:
        for n in range(3):
            tape.add("even", n, n)
            tape.add("uneven", [0] * n, n)
    code, _, err = run(tmp_path / "x.mcap", "--npz")
    assert code == 0
    assert "uneven is left out: the messages: not all have one type and shape" in err
    code, _, err = run(tmp_path / "x.mcap", "--npz", "-t", "uneven", "--force")
    assert code == 1
    assert "no topic makes an array: --jsonl writes all of them" in err


def test_two_topics_never_share_a_file(tmp_path):
    with tapes.tape(tmp_path / "x.mcap") as tape:
        for topic in ("a/b", "a_b", "A_B"):
            tape.add(topic, 1, 0)
    assert run(tmp_path / "x.mcap", "--csv", "-o", tmp_path / "out")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["A_B.csv", "a_b_2.csv", "a_b_3.csv"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "say which form: --csv, --jsonl or --npz"),
        (["--csv", "-o", "-"], "only --jsonl can be printed"),
        (["--npz", "-t", "gps"], "no topic 'gps'"),
        (["--jsonl", "--start", "3", "--end", "2"], "the end is before the start"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(drive, arguments, words):
    code, _, err = run(drive, *arguments)
    assert code == 2
    assert words in " ".join(err.split())


def test_what_is_read_is_never_written_over(drive):
    before = drive.read_bytes()
    code, _, err = run(drive, "--jsonl", "-o", drive, "--force")
    assert code == 2
    assert "is read here: name another place to write" in " ".join(err.split())
    assert drive.read_bytes() == before


def test_a_message_without_a_json_form_is_left_out_and_told(drive, monkeypatch):
    import ipcpy.cli.export as module

    record = module.record

    def refuse(message, *more):
        if message.data.gx == 2:
            raise ValueError("it is nested too deep")
        return record(message, *more)

    monkeypatch.setattr(module, "record", refuse)
    code, out, err = run(drive, "--jsonl", "-o", "-", "-t", "robot/imu")
    assert code == 0
    assert [json.loads(line)["data"]["gx"] for line in out.splitlines()] == [0, 1, 3, 4]
    assert "1 message left out: what is in them has no JSON form" in err


@pytest.mark.parametrize(("form", "name"), [("--csv", "drive_csv"), ("--jsonl", "drive.jsonl"), ("--npz", "drive.npz")])
def test_what_is_there_stays_unless_that_is_asked_for(drive, tmp_path, form, name):
    (tmp_path / name).mkdir() if form == "--csv" else (tmp_path / name).write_text("precious")
    code, _, err = run(drive, form)
    assert code == 2
    assert "is there already; choose another name (-o), or --force" in " ".join(err.split())
    assert run(drive, form, "--force")[0] == 0
