"""cli.bridge_options: what crosses, said on the command line, in a file, or in both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from ipcpy.cli.bridge_options import Crossing, bridge_options, crossing
from ipcpy.cli.endings import ended_well

FILE = """
prefix = "robot7"
name = "seven"
[node]
domain = "seven"
[topics]
out = ["imu"]
[rate]
imu = 10
gps = 1
[mqtt]
connect = "broker"
"""


def asked(*words: str) -> tuple[Crossing | None, dict[str, Any], str]:
    """Return what a command understood, what is kept of its node, and what it printed."""
    found: list[Any] = []

    @click.command()
    @bridge_options
    @click.pass_context
    def command(ctx: click.Context, **options: Any) -> None:
        with ended_well():
            found.append(crossing(ctx, "mqtt", options))
            found.append(ctx.obj)

    result = CliRunner().invoke(command, list(words))
    return (*found, result.output) if found else (None, {}, result.output)  # type: ignore[return-value]


def test_the_command_line_says_what_crosses() -> None:
    words = ["-t", "out:imu", "-t", "cmd", "-x", "raw", "--prefix", "r7", "--rate", "imu=10Hz", "--max-bandwidth"]
    found, _, output = asked(*words, "camera/**=125kB/s", "--name", "seven", "--hops", "2", "--domain", "lab")
    assert found is not None, output
    assert (found.rules.beyond("imu"), found.rules.here("r7/imu")) == ("r7/imu", None)
    assert (found.rules.beyond("cmd"), found.rules.here("r7/cmd")) == ("r7/cmd", "cmd")
    assert found.rules.limits("imu").rate == 10.0
    assert found.rules.limits("camera/left").bandwidth == 125_000
    assert (found.prefix, found.settings) == ("r7", {"name": "seven", "hops": 2})


def test_a_file_says_the_same_and_the_command_line_wins(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text(FILE)
    found, node, output = asked("-c", str(path))
    assert found is not None, output
    assert found.rules.beyond("imu") == "robot7/imu"
    assert found.rules.beyond("gps") is None
    assert (found.engine, found.settings, node) == ({"connect": "broker"}, {"name": "seven"}, {"domain": "seven"})
    assert asked("--prefix", "fleet/r8")[0].settings == {"name": "r8"}  # type: ignore[union-attr]
    found, node, output = asked("-c", str(path), "--prefix", "r7", "-t", "gps", "--rate", "imu=5", "--domain", "lab")
    assert found is not None, output
    assert (found.rules.beyond("gps"), found.rules.beyond("imu")) == ("r7/gps", None)
    assert (found.rules.limits("imu").rate, found.rules.limits("gps").rate) == (5.0, 1.0)
    assert node == {"domain": "lab"}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--rate", "10"], "'10' is no topic with a value, such as imu=10."),
        (["--rate", "imu=fast"], "'fast' is not a valid float"),
        (["--max-bandwidth", "imu=5parsecs"], "'5parsecs' is no size"),
        (["-t", "home/#"], "a segment '#' is MQTT's"),
        (["-c", "none.toml"], "none.toml cannot be read: No such file or directory"),
        (["--hops", "0"], "0 is not in the range"),
    ],
)
def test_what_is_wrong_is_said(words: list[str], problem: str) -> None:
    found, _, output = asked(*words)
    assert found is None
    assert problem in output
    assert "Traceback" not in output
