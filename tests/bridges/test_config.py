"""bridges.config: what a file says, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcpy.bridges.config import BridgeConfig
from ipcpy.bridges.rules import Rules
from ipcpy.errors import ArgumentError

WHOLE = """
prefix = "robot7"
name = "bridge-robot7"
hops = 2
[node]
domain = "robot7"
interfaces = ["lo", "eth0"]
[topics]
out = ["imu", "camera/**"]
in = ["cmd/**", "/fleet/time"]
both = "chat"
exclude = "camera/raw"
[rate]
imu = 10
[max_bandwidth]
"camera/**" = "125kB/s"
imu = 5000
[mqtt]
connect = "broker"
"""


@pytest.fixture
def read(tmp_path: Path):
    def read(text: str) -> BridgeConfig:
        path = tmp_path / "bridge.toml"
        path.write_text(text, encoding="utf-8")
        return BridgeConfig.read(path)

    return read


def test_a_file_says_what_crosses_and_how(read) -> None:
    assert read(WHOLE) == BridgeConfig(
        topics=("out:imu", "out:camera/**", "in:cmd/**", "in:/fleet/time", "both:chat"),
        exclude=("camera/raw",),
        prefix="robot7",
        rate={"imu": 10.0},
        max_bandwidth={"camera/**": 125_000.0, "imu": 5000.0},
        name="bridge-robot7",
        hops=2,
        node={"domain": "robot7", "interfaces": "lo,eth0"},
        engines={"mqtt": {"connect": "broker"}},
    )


def test_what_it_says_of_topics_is_what_rules_take() -> None:
    rules = Rules(
        BridgeConfig(topics=("out:imu", "in:/fleet/time", "both:chat"), prefix="robot7").topics, prefix="robot7"
    )
    assert rules.beyond("imu") == "robot7/imu"
    assert rules.here("fleet/time") == "fleet/time"
    assert rules.beyond("fleet/time") is None
    assert (rules.beyond("chat"), rules.here("robot7/chat")) == ("robot7/chat", "chat")


def test_an_empty_file_says_nothing(read) -> None:
    assert read("") == BridgeConfig()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("prefx = 'a'", "there is no key 'prefx'; did you mean 'prefix'?"),
        ("[topics]\nouts = []", "there is no key 'topics.outs'; did you mean 'out'?"),
        ("[node]\nkey = 'a'", "there is no key 'node.key'; there are domain, interfaces, peers"),
        ("prefix = 7", "'prefix' is a text, got 7"),
        ("topics = ['imu']", r"'topics' is a table, written \[topics\], got \['imu'\]"),
        ("[topics]\nout = 5", "'topics.out' is a list of topics and patterns, got 5"),
        ("[topics]\nout = ['home/#']", "'topics.out': a segment '#' is MQTT's: use "),
        ("[topics]\nin = [5]", "'topics.in': a topic is a str such as 'robot/imu', got int"),
        ("[node]\ndomain = 5", "'node.domain' is a text or a list of texts, got 5"),
        ("[rate]\nimu = 0", "'rate.imu' is a number of messages a second, got 0"),
        ("[rate]\nimu = true", "'rate.imu' is a number of messages a second, got True"),
        ("[rate]\nimu = nan", "'rate.imu' is a number of messages a second, got nan"),
        ("[rate]\n'a b' = 1", "'rate': a topic is a name such as 'robot/imu'"),
        (
            "[max_bandwidth]\nimu = '5 parsecs'",
            "'max_bandwidth.imu' is bytes a second, 125000 or '125kB', got '5 parsecs'",
        ),
        ("max_bandwidth = 5", r"'max_bandwidth' is a table, written \[max_bandwidth\], got 5"),
        ("[max_bandwidth]\nimu = -1", "'max_bandwidth.imu' is bytes a second, 125000 or '125kB', got -1"),
        ("hops = 0", "'hops' is how many bridges something may pass, from 1 to 16, got 0"),
        ("prefix = ", "is no TOML file: Invalid value"),
        ("a = " + "[" * 10_000, "(nested too deep|no TOML)"),
    ],
)
def test_what_is_wrong_is_said_with_its_key_and_its_file(read, text: str, problem: str) -> None:
    with pytest.raises(ArgumentError, match=problem) as caught:
        read(text)
    assert "bridge.toml" in str(caught.value)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="cannot be read: No such file or directory"):
        BridgeConfig.read(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"prefix = '\xe9'")
    with pytest.raises(ArgumentError, match="it is not UTF-8"):
        BridgeConfig.read(tmp_path / "latin.toml")
