"""bridges.mqtt.options: what a table says of a broker, and what is said of a table that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from certificates import Certificates
from ipcpy.bridges.mqtt.options import Address, Options, check_address, check_options, tls_of
from ipcpy.errors import ArgumentError


def test_a_table_says_where_the_broker_is_and_how_topics_are_written() -> None:
    options = check_options(
        {
            "connect": "mqtt://arm@broker:1884",
            "format": "json",
            "qos": 0,
            "map": {"imu": "home/imu"},
            "topics": {"camera/**": {"format": "raw", "qos": 1}, "cmd": {"qos": 1}},
            "root": "fleet/ipcpy",
        },
        {"IPCPY_MQTT_PASSWORD": "secret"},
    )
    assert options == Options(
        Address("broker", 1884, username="arm"),
        "arm",
        "secret",
        map={"imu": "home/imu"},
        root="fleet/ipcpy",
        default=("json", 0),
        topics={"camera/**": ("raw", 1), "cmd": (None, 1)},
    )
    assert (options.format("camera/left"), options.format("cmd"), options.format("imu")) == ("raw", "json", "json")
    assert options.qos("camera/left", reliable=False) == options.qos("cmd", reliable=False) == 1
    assert options.qos("imu", reliable=True) == 0
    assert "secret" not in repr(options)


def test_reliable_topics_have_quality_of_service_1_where_nothing_is_said() -> None:
    options = check_options({"connect": "broker"}, {})
    assert (options.qos("imu", reliable=True), options.qos("imu", reliable=False)) == (1, 0)
    assert options.address == Address("broker", 1883)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("broker", Address("broker", 1883)),
        ("mqtt://10.0.0.5:1884/", Address("10.0.0.5", 1884)),
        ("mqtts://broker.example", Address("broker.example", 8883, tls=True)),
        ("wss://cloud.example/mqtt", Address("cloud.example", 443, tls=True, path="/mqtt")),
        ("ws://cloud.example:9001", Address("cloud.example", 9001, path="/mqtt")),
        ("mqtt://a%40b:c%3Ad@broker", Address("broker", 1883, username="a@b", password="c:d")),
    ],
)
def test_an_address_says_host_port_and_how(text: str, address: Address) -> None:
    assert check_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "http://broker", "mqtt://", "mqtt://broker:port", "broker:99999", "mqtt://b/x", 5]
)
def test_what_is_no_address_is_said(text: Any) -> None:
    with pytest.raises(ArgumentError, match="a broker is mqtt://host, mqtts://host:8883 or wss://host/path, got"):
        check_address(text)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({}, "name the broker: --connect mqtt://host"),
        ({"connect": "b", "hots": "x"}, "there is no key 'mqtt.hots'; there are connect"),
        ({"connect": "b", "format": "xml"}, "'mqtt.format' is \"json\" or \"raw\", got 'xml'"),
        ({"connect": "b", "qos": 2}, "'mqtt.qos' is 0 or 1, got 2"),
        ({"connect": "b", "qos": True}, "'mqtt.qos' is 0 or 1, got True"),
        ({"connect": "b", "keepalive": 0}, "'mqtt.keepalive' is a number of seconds from 1"),
        ({"connect": "b", "name": "a/b"}, "'mqtt.name' is a short name"),
        ({"connect": "b", "username": 5}, "'mqtt.username' is a text, got 5"),
        ({"connect": "mqtt://:pw@b"}, "a password needs a username"),
        ({"connect": "b", "map": {"imu": 5}}, "'mqtt.map' says which topic"),
        ({"connect": "b", "topics": {"imu": "raw"}}, "'mqtt.topics.imu' has format and qos, got 'raw'"),
        ({"connect": "b", "topics": {"imu": {"qos": 3}}}, "'mqtt.topics.imu.qos' is 0 or 1, got 3"),
        ({"connect": "b", "topics": {"a/#": {}}}, "a segment '#' is MQTT's: use"),
        ({"connect": "b", "topics": 5}, "'mqtt.topics' is a table of tables"),
        ({"connect": "b", "ca": "ca.pem"}, "certificates need an encrypted connection: connect to mqtts://b"),
        ({"connect": "mqtts://b", "cert": "c.pem"}, "cert and key go together"),
        ({"connect": "mqtts://b", "ca": "none.pem"}, "ca: 'none.pem' has no certificates .* No such file or directory"),
        ({"connect": "mqtts://b", "cert": "c", "key": "k"}, "cert and key: 'c' and 'k' are no certificate and its key"),
        ({"connect": "b", "username": "a", "password_file": "none"}, "password_file: 'none' cannot be read: No such"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(table: dict[str, Any], problem: str) -> None:
    with pytest.raises(ArgumentError, match=problem):
        check_options(table, {})


def test_the_password_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("secret\n")
    table = {"connect": "b", "username": "arm", "password_file": str(tmp_path / "pw")}
    assert check_options(table, {"IPCPY_MQTT_PASSWORD": "other"}).password == "secret"


def test_files_that_are_no_certificates_are_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ArgumentError, match="has no certificates that can be read"):
        check_options({"connect": "mqtts://b", "ca": str(tmp_path / "ca.pem")}, {})


def test_certificates_and_keys_that_belong_together_are_taken(tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    cert, key = made.issue("arm")
    table = {"connect": "mqtts://b", "ca": str(made.ca), "cert": str(cert), "key": str(key)}
    assert tls_of(check_options(table, {})) is not None
    assert tls_of(check_options({"connect": "b"}, {})) is None
    _, other = made.issue("other")
    with pytest.raises(ArgumentError, match="are no certificate and its key"):
        check_options({**table, "key": str(other)}, {})
