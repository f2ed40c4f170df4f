"""``ipcpy param``: what programs have is shown, set, saved and loaded, against another process."""

from __future__ import annotations

import json
import sys
import tomllib

import pytest
from click.testing import CliRunner

from ipcpy.cli.param import _matches, _read
from ipcpy.cli.program import program
from ipcpy.protocol.topics import matches

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
CAMERA = """
    import sys
    import ipcpy as ipc
    params = ipc.Parameters("camera", exposure=0.01, gain=1.0, mode="auto", on=True, n=3, roi=(0, 0))
    @params.on_set
    def check(name, value):
        if name == "gain" and value > 16:
            raise ValueError("the sensor amplifies up to 16 times")
    print("ready", flush=True)
    for _ in sys.stdin:
        print(dict(params), flush=True)
"""


@pytest.fixture
def camera(spawn):
    process = spawn(CAMERA)
    process.wait_line("ready")
    return process


@pytest.fixture
def run(spawn):
    return lambda *words, **options: spawn([*IPCPY, "param", *words], **options)


def test_they_are_listed_with_values_kinds_and_programs(camera, run):
    printed = run("list").succeed().splitlines()
    assert printed[0].split() == ["NAME", "PARAMETER", "VALUE", "KIND", "PROGRAM", "HOST"]
    assert printed[1].split()[:4] == ["camera", "exposure", "0.01", "float"]
    assert printed[6].split()[:3] == ["camera", "roi", "[0,"]
    assert printed[7] == "6 parameters of 1 program"
    rows = [json.loads(line) for line in run("list", "**", "--json").succeed().splitlines()]
    assert [(row["parameter"], row["value"], row["kind"]) for row in rows][2:4] == [
        ("mode", "auto", "str"),
        ("on", True, "bool"),
    ]


def test_one_value_or_all_are_printed(camera, run):
    assert run("get", "camera", "gain").succeed() == "1.0\n"
    assert run("get", "camera", "mode").succeed() == "auto\n"
    assert run("get", "camera", "mode", "--json").succeed() == '"auto"\n'
    assert json.loads(run("get", "camera", "--json").succeed()) == {
        "exposure": 0.01,
        "gain": 1.0,
        "mode": "auto",
        "on": True,
        "n": 3,
        "roi": [0, 0],
    }
    assert run("get", "camera").succeed().splitlines()[-1] == "roi  [0, 0]"


def test_several_are_set_of_their_kinds_and_below_zero(camera, run):
    assert json.loads(run("set", "camera", "gain", "3", "--json").succeed())["gain"] == 3.0
    run("set", "camera", "gain", "2", "mode", "7", "on", "off", "n", "-5", "roi", "[-1, 2]").succeed()
    camera.send_line()
    changed = "{'exposure': 0.01, 'gain': 2.0, 'mode': '7', 'on': False, 'n': -5, 'roi': (-1, 2)}"
    assert camera.wait_line("^({.*})$")[1] == changed


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["set", "camera", "gain", "20"], 1, "gain=20.0 of 'camera' was refused: the sensor amplifies up to 16 times"),
        (
            ["set", "camera", "gian", "2"],
            1,
            "'camera' has no parameter 'gian'; it has exposure, gain, mode, on, n, roi",
        ),
        (["set", "camera", "n", "x"], 1, "n of 'camera' is of the kind int, got 'x'"),
        (["get", "camera", "gian"], 1, "'camera' has no parameter 'gian'; it has exposure"),
        (["get", "lidar", "--timeout", "2"], 3, "no parameters 'lidar' within 2 s.* Parameters there are: camera"),
        (["load", "camera", "nothing.toml"], 1, "No such file"),
    ],
)
def test_what_cannot_be_done_is_said(camera, run, words, code, says):
    done = run(*words)
    assert done.wait() == code
    done.wait_line(says, stream="stderr")


def test_two_programs_of_one_name_are_both_listed_and_none_is_asked(camera, spawn, run, wait_until):
    spawn(CAMERA).wait_line("ready")
    wait_until(lambda: "12 parameters of 2 programs" in run("list", "camera").succeed(), timeout=20.0)
    for words in (["get", "camera", "gain"], ["set", "camera", "gain", "2"]):

        def is_refused(words=words):
            done = run(*words)
            return done.wait() == 1 and "2 programs have parameters 'camera'" in done.stderr

        wait_until(is_refused, timeout=20.0)


def test_pairs_are_pairs():
    done = CliRunner().invoke(program, ["param", "set", "camera", "gain"])
    assert done.exit_code == 2
    assert "PARAMETER and VALUE come in pairs, got 'gain'" in done.output


def test_they_are_saved_and_loaded_one_program_or_all(camera, spawn, run, tmp_path):
    pytest.importorskip("tomli_w", reason="needs ipcpy[params]")
    other = spawn(CAMERA, env={"IPCPY_NAMESPACE": "robot1"})
    other.wait_line("ready")
    one, every = tmp_path / "camera.toml", tmp_path / "robot.toml"
    run("save", "camera", str(one), env={"IPCPY_NAMESPACE": "robot1"}).succeed()
    assert tomllib.loads(one.read_text())["camera"]["gain"] == 1.0
    run("save", "/**", str(every)).succeed()
    assert list(tomllib.loads(every.read_text())) == ["camera", "robot1/camera"]
    one.write_text("[camera]\ngain = 4.0\n")
    told = run("load", "camera", str(one), "--namespace", "robot1", "--json").succeed()
    assert json.loads(told)["name"] == "robot1/camera"
    assert json.loads(told)["values"]["gain"] == 4.0
    assert run("get", "robot1/camera", "gain").succeed() == "4.0\n"
    assert run("get", "camera", "gain").succeed() == "1.0\n"


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("2", "float", 2),
        ("inf", "float", float("inf")),
        ("x", "float", "x"),
        ("2", "str", "2"),
        ('"2"', "str", "2"),
        ("a b", "str", "a b"),
        ("[1]", "str", "[1]"),
        ("On", "bool", True),
        ("no", "bool", False),
        ("1", "bool", 1),
        ("[1, 2]", "list[int]", [1, 2]),
        ("[1,", "list[int]", "[1,"),
        ("-5", "int", -5),
        ("null", "", None),
    ],
)
def test_a_value_is_read_as_one_of_its_kind_if_it_can_be(text, kind, value):
    assert _read(text, kind) == value
    assert type(_read(text, kind)) is type(value)


@pytest.mark.parametrize("pattern", ["a", "*", "**", "a/**", "*/b", "**/b", "a.c", "a/*/c"])
@pytest.mark.parametrize("name", ["a", "b", "a/b", "a/b/c", "abc", "a/c"])
def test_a_pattern_means_what_one_of_topics_means(pattern, name):
    assert _matches(pattern, name) == matches(pattern, name)
