"""``ipcpy bridge mqtt``: a process between this domain and a real broker, and what it says of wrong words."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import ipcpy as ipc
from broker import Broker, Phone
from ipcpy.cli.program import program

pytest.importorskip("aiomqtt", reason="needs ipcpy[mqtt]")

PATIENCE = 30.0
COMMAND = [sys.executable, "-m", "ipcpy.cli", "bridge", "mqtt"]
CONFIG = """
prefix = "r7"
[topics]
out = ["imu"]
in = ["cmd"]
[mqtt]
connect = "mqtt://127.0.0.1:{port}"
[mqtt.map]
cmd = "home/cmd"
"""


def test_it_carries_what_a_file_says_and_when_it_is_killed_the_broker_tells_those_beyond(
    spawn, tmp_path: Path, wait_until
) -> None:
    broker = Broker(spawn, tmp_path)
    (tmp_path / "bridge.toml").write_text(CONFIG.format(port=broker.port))
    bridge = spawn([*COMMAND, "-c", str(tmp_path / "bridge.toml"), "--json"])
    bridge.wait_line(r'"state": "linked"', PATIENCE)
    phone = Phone(broker)
    far = ipc.Node("far", domain=f"far{broker.port}", interfaces="lo")
    desk = ipc.Node("desk", domain=far.domain, interfaces="lo")
    with ipc.Bridge(ipc.MqttAdapter(f"127.0.0.1:{broker.port}"), node=far), ipc.Publisher("imu") as imu:
        sub = ipc.Subscriber("r7/imu", node=desk)
        sub.wait_for_publishers(timeout=PATIENCE)
        imu.wait_for_subscribers(timeout=PATIENCE)
        imu.publish({"gz": 0.5})
        assert sub.recv(PATIENCE).data == {"gz": 0.5}
        with ipc.Subscriber("cmd") as commands:
            phone.publish("home/cmd", '{"speed": 1}')
            assert commands.recv(PATIENCE).data == {"speed": 1}
        bridge.kill()
        wait_until(lambda: not sub.publishers, PATIENCE)
    for node in (far, desk):
        node.close()
    assert "Traceback" not in bridge.stderr


def test_without_a_broker_it_says_so_and_goes_on_trying(spawn, tmp_path: Path) -> None:
    broker = Broker(spawn, tmp_path)
    broker.kill()
    bridge = spawn([*COMMAND, "--connect", f"127.0.0.1:{broker.port}", "--json", "--every", "0.2s"])
    bridge.wait_line(f"no broker at 127.0.0.1:{broker.port}: Connection refused", PATIENCE, stream="stderr")
    while json.loads(bridge.wait_line(r"\{.*", PATIENCE).group())["more"]["attempts"] < 3:
        pass
    broker.start()
    bridge.wait_line(r'"state": "linked"', PATIENCE)
    bridge.wait_line("mqtt: linked to 127.0.0.1", PATIENCE, stream="stderr")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "name the broker: --connect mqtt://host"),
        (["--connect", "http://x"], "a broker is mqtt://host, mqtts://host:8883 or wss://host/path, got 'http://x'"),
        (["--connect", "x", "--format", "xml"], "'mqtt.format' is \"json\" or \"raw\", got 'xml'"),
        (["--connect", "x", "--format", "camera/**=xml"], '\'mqtt.topics.camera/**.format\' is "json" or "raw"'),
        (["--connect", "x", "--qos", "2"], "'mqtt.qos' is 0 or 1, got 2"),
        (["--connect", "x", "--qos", "imu=high"], "'mqtt.topics.imu.qos' is 0 or 1, got 'high'"),
        (["--connect", "x", "--map", "imu"], "--map: 'imu' is no topic with a name there"),
        (["--connect", "mqtts://x", "--ca", "none.pem"], "ca: 'none.pem' has no certificates that can be read"),
        (["--connect", "x", "--root", "$SYS"], "root: names that begin with $ are the broker's own, got '$SYS'"),
        (["--connect", "x", "-t", "home/#"], "a segment '#' is MQTT's: use ** here"),
    ],
)
def test_wrong_usage_says_what_was_expected(words: list[str], text: str) -> None:
    result = CliRunner().invoke(program, ["bridge", "mqtt", *words])
    assert result.exit_code == 2, result.output
    assert text in result.output


def test_a_file_that_is_wrong_is_told_with_its_key(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    for text, problem in (
        ("[mqtt]\nconect = 'x'", "there is no key 'mqtt.conect'"),
        ("[mqtt]\nconnect = 'x'\ntopics = 5", "'mqtt.topics' is a table of tables"),
        ("[mqtt]\nconnect = 'x'\nmap = 5", "'mqtt.map' says which topic has which name"),
        ("prefix = '/'", "a topic is a name"),
    ):
        path.write_text(text)
        for words in ([], ["--qos", "imu=1", "--map", "imu=x"]):
            result = CliRunner().invoke(program, ["bridge", "mqtt", "-c", str(path), *words])
            assert (result.exit_code, problem in result.output) == (2, True), result.output
