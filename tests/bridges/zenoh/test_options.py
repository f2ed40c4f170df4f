from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.bridges.zenoh.options import ZenohOptions


def test_a_client_connects_where_it_is_told_and_searches_for_nobody() -> None:
    made = ZenohOptions("tcp/router:7447").settings()
    assert (made["mode"], made["connect/endpoints"], made["listen/endpoints"]) == ("client", ["tcp/router:7447"], [])
    assert made["scouting/multicast/enabled"] is made["scouting/gossip/enabled"] is False


def test_a_large_reliable_message_may_take_minutes_over_a_slow_uplink_and_the_link_stays() -> None:
    patience = "transport/link/tx/queue/congestion_control/block/wait_before_close"  # µs
    assert ZenohOptions("tcp/router:7447").settings()[patience] >= 600_000_000
    assert 30_000_000 <= ZenohOptions(listen="tcp/0.0.0.0:7447").settings()[patience] <= 60_000_000  # others wait, too


def test_who_listens_is_a_router_unless_told_otherwise() -> None:
    assert ZenohOptions(listen=["tcp/0.0.0.0:7447"]).mode == "router"
    assert ZenohOptions(listen=["tcp/0.0.0.0:7447"], mode="peer").mode == "peer"


def test_certificates_go_to_the_side_that_needs_them(tmp_path) -> None:
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    for each in (ca, cert, key):
        each.write_text("x")
    made = ZenohOptions("tls/router:7447", ca=ca, cert=str(cert), key=key).settings()
    assert made["transport/link/tls/root_ca_certificate"] == str(ca)
    assert made["transport/link/tls/connect_private_key"] == str(key)
    assert made["transport/link/tls/enable_mtls"] is True
    assert "transport/link/tls/listen_certificate" not in made


def test_a_table_of_the_file_is_taken_and_a_wrong_key_named() -> None:
    assert ZenohOptions.of({"connect": ["tcp/[::1]:7447"], "space": "red"}).space == "red"
    with pytest.raises(ipc.ArgumentError, match="'conect'"):
        ZenohOptions.of({"conect": []})


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({}, "say where Zenoh is"),
        ({"connect": "router:7447"}, "an endpoint is"),
        ({"connect": "http/router:80"}, "begins with one of"),
        ({"connect": "tcp/router"}, "with a port"),
        ({"connect": "tcp/router:99999"}, "with a port"),
        ({"connect": [7]}, "an endpoint is"),
        ({"connect": 7}, "endpoints are a list"),
        ({"connect": "tcp/a:1", "mode": "server"}, "mode is one of"),
        ({"listen": "tcp/a:1", "mode": "client"}, "does not listen"),
        ({"connect": "tcp/a:1", "ca": "/no/such"}, "there is none"),
        ({"connect": "tcp/a:1", "ca": 7}, "path of a file"),
        ({"listen": "tls/a:1"}, "takes cert and key"),
        ({"connect": "tcp/a:1", "space": "a b"}, "space is a name"),
    ],
)
def test_what_is_wrong_is_refused_with_what_was_expected(wrong: dict, expected: str) -> None:
    with pytest.raises(ipc.ArgumentError, match=expected):
        ZenohOptions(**wrong)


def test_a_certificate_without_its_key_is_refused(tmp_path) -> None:
    cert = tmp_path / "cert.pem"
    cert.write_text("x")
    with pytest.raises(ipc.ArgumentError, match="belong together"):
        ZenohOptions("tls/a:1", cert=cert)
