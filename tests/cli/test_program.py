"""The commands as a whole: help, versions, usage errors, and what the command line imports."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import ipcpy as ipc
from ipcpy.cli.program import program

SOURCES = sorted((Path(__file__).parents[2] / "ipcpy" / "cli").glob("*.py"))
COMMANDS = sorted(program.commands)
LISTENING = [
    "list",
    "info",
    "flows",
    "why",
    "echo",
    "hz",
    "bw",
    "delay",
    "pub",
    "services",
    "call",
    "record",
    "play",
    "foxglove",
    "plotjuggler",
    "nodes",
    "doctor",
    "demo",
]
OTHERS = ["param", "bag", "blackbox", "bridge", "completion", "key", "top", "web"]
NAMING = [
    "info",
    "flows",
    "why",
    "echo",
    "hz",
    "bw",
    "delay",
    "pub",
    "call",
    "record",
    "foxglove",
    "plotjuggler",
    *map("param {}".format, program.commands["param"].commands),
]


def test_all_commands_are_there():
    assert [*LISTENING, *OTHERS] == sorted(COMMANDS, key=[*LISTENING, *OTHERS].index)


@pytest.mark.parametrize("name", LISTENING)
def test_each_command_has_json_an_example_and_the_options_of_a_node(name):
    done = CliRunner().invoke(program, [name, "--help"])
    assert done.exit_code == 0
    assert f"Example:\n    ipcpy {name}" in done.output
    for option in ("--json", "--domain", "--interfaces", "--peers"):
        assert option in done.output


@pytest.mark.parametrize("words", NAMING)
def test_each_command_that_is_told_a_name_takes_a_namespace_and_rules(words):
    done = CliRunner().invoke(program, [*words.split(), "--help"])
    assert done.exit_code == 0
    assert f"Example:\n    ipcpy {words}" in done.output
    for option in ("--json", "--domain", "--namespace", "--remap"):
        assert option in done.output


def test_help_says_what_exit_codes_mean():
    done = CliRunner().invoke(program, ["--help"])
    assert done.exit_code == 0
    assert "3 nothing found before --timeout" in " ".join(done.output.split())


@pytest.mark.parametrize("module", ["ipcpy", "ipcpy.cli"])
def test_without_scripts_on_the_path_python_runs_it(spawn, module):
    process = spawn([sys.executable, "-m", module, "--version"])
    assert process.succeed().strip() == f"ipcpy {ipc.__version__} ({ipc.implementation()})"


def test_version():
    done = CliRunner().invoke(program, ["--version"])
    assert (done.exit_code, done.output) == (0, f"ipcpy {ipc.__version__} ({ipc.implementation()})\n")


def test_version_says_why_no_compiled_part_is_used(spawn):
    process = spawn([sys.executable, "-m", "ipcpy", "--version"], env={"IPCPY_PURE": "1"})
    assert f"ipcpy {ipc.__version__} (pure Python: IPCPY_PURE is set; CRC-32 of zlib" in process.succeed()


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["list", "--nonsense"],
        ["echo"],
        ["echo", "imu", "-n", "0"],
        ["echo", "not a topic"],
        ["pub", "a*", "1"],
        ["pub", "imu", "{broken"],
        ["pub", "imu", "1", "--rate", "0"],
        ["hz", "imu", "--duration", "-1"],
        ["hz", "imu", "--timeout", "nan"],
        ["pub", "imu", "1", "--rate", "nan"],
        ["pub", "imu", "1", "-x"],
        ["pub", "imu", "1", "-n", "9" * 30],
        ["echo", "imu", "-n", "9" * 30],
        ["hz", "imu", "-w", "9" * 30],
        ["info", "imu", "--measure", "nan"],
        ["--domain", "", "list"],
        ["--namespace", "a b", "list"],
        ["echo", "imu", "--remap", "imu"],
        ["echo", "imu", "--remap", "imu:=a b"],
        ["list", "--peers", "host:port"],
        ["demo", "--csv", "/no/such/file"],
        ["completion", "tcsh"],
        ["doctor", "host:port"],
        ["doctor", "--peer", "host:0"],
    ],
)
def test_wrong_usage_is_code_2_in_a_sentence(arguments):
    done = CliRunner().invoke(program, arguments)
    assert done.exit_code == 2, done.output
    assert "Error:" in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_only_public_names_of_ipcpy_are_used(path):
    public = {*ipc.__all__, "__version__"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert all(alias.name == "ipcpy" or not alias.name.startswith("ipcpy.") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1 or not (node.module or "").startswith("ipcpy")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ipc":
            assert node.attr in public


def test_help_loads_nothing_slow(spawn):
    names = {"asyncio", "numpy", "zeroconf", "msgpack", "socket", "ipcpy.node.node"}
    program = f"""
        import sys
        from ipcpy.cli import main
        sys.argv = ["ipcpy", "--help"]
        try:
            main()
        finally:
            print("slow:", *sorted({names!r} & set(sys.modules)))
    """
    assert spawn(program).succeed().splitlines()[-1] == "slow:"


def test_colour_is_for_terminals_only(spawn):
    assert "\x1b" not in spawn([sys.executable, "-m", "ipcpy.cli", "--help"]).succeed()
