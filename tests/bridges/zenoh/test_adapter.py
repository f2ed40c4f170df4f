"""Bridges over real Zenoh, on loopback: routers that restart, certificates, strangers on our keys, odd names."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

import ipcpy as ipc
import routers
from certificates import Certificates
from sites import drain, meet, sites, wait_until

pytest.importorskip("zenoh", reason="needs eclipse-zenoh: pip install 'ipcpy[zenoh]'")


@pytest.fixture
def endpoint() -> str:
    return routers.free_endpoint()


@pytest.fixture
def make():
    with sites() as made:
        yield made


def two(make, endpoint: str, **options):
    """Two sites with a bridge each to a router."""
    a, b = make("a"), make("b")
    rules = ipc.Rules(prefix="robot7")
    a.here = a.bridge(ipc.ZenohAdapter(connect=endpoint, **options), rules)
    b.here = b.bridge(ipc.ZenohAdapter(connect=endpoint, **options))
    return a, b


def test_messages_arrays_and_latched_topics_cross_a_router(make, endpoint: str) -> None:
    np = pytest.importorskip("numpy")
    with routers.router(endpoint):
        a, b = two(make, endpoint)
        state = a.publisher("state", keep=1)
        state.publish("on")
        pub, sub = a.publisher("image", reliable=True), b.subscriber("robot7/image")
        meet(pub, sub)
        image = np.random.default_rng(1).integers(0, 255, (480, 640, 3), "uint8")
        for n in range(10):
            pub.publish({"n": n, "image": image})
        got = [sub.recv(20) for _ in range(10)]
        assert [each.data["n"] for each in got] == list(range(10))
        assert all((each.data["image"] == image).all() for each in got)
        assert ({each.publisher for each in got}, sub.stats.lost) == ({pub.id}, {})
        assert b.subscriber("robot7/state").recv(20).data == "on"
        back, cmd = b.publisher("robot7/cmd"), a.subscriber("cmd")
        meet(back, cmd)
        back.publish("go")
        assert cmd.recv(20).data == "go"
        assert a.here.status().detail == endpoint


def test_a_router_that_restarts_is_found_again_and_what_was_lost_is_counted(make, endpoint: str, caplog) -> None:
    caplog.set_level(logging.INFO)
    with routers.router(endpoint):
        a, b = two(make, endpoint)
        pub, sub = a.publisher("imu"), b.subscriber("robot7/imu")
        meet(pub, sub)
        pub.publish(1)
        assert sub.recv(20).data == 1
    wait_until(lambda: not sub.publishers and not pub.subscribers, timeout=20)
    wait_until(lambda: "nobody listens there" in a.here.status().detail, timeout=20)
    for n in range(20):
        pub.publish(n)
    with routers.router(endpoint):
        meet(pub, sub)
        pub.publish("back")
        assert (sub.recv(20).data, sub.stats.lost) == ("back", {"network": 20})
        (taken,) = b.here.status().imports
        assert (dict(taken.missing), taken.doubles) == ({"link": 20}, 0)
        wait_until(lambda: a.here.status().state == "linked")


def test_a_bridge_that_listens_is_the_router(make, endpoint: str) -> None:
    home, robot, other = make("home"), make("robot"), make("other")
    home.bridge(ipc.ZenohAdapter(listen=endpoint))
    robot.bridge(ipc.ZenohAdapter(connect=endpoint))
    other.bridge(ipc.ZenohAdapter(connect=endpoint))
    pub = robot.publisher("imu")
    ears = [home.subscriber("imu"), other.subscriber("imu")]
    for ear in ears:
        meet(pub, ear)
    for n in range(20):
        pub.publish(n)
    for ear in ears:
        assert [message.data for message in drain(ear, 20)] == list(range(20))


def test_three_sites_whose_routers_form_a_ring_get_each_message_once(make) -> None:
    ends = [routers.free_endpoint() for _ in range(3)]
    ring = [make(name) for name in "abc"]
    for n, site in enumerate(ring):
        site.bridge(ipc.ZenohAdapter(listen=ends[n], connect=ends[(n + 1) % 3]))
    pub = ring[0].publisher("imu")
    ears = [site.subscriber("imu") for site in ring]
    for ear in ears:
        meet(pub, ear)
    pub.wait_for_subscribers(2, timeout=20)
    for n in range(30):
        pub.publish(n)
    for ear in ears:
        assert [message.data for message in drain(ear, 30)] == list(range(30))
        assert ear.stats.duplicates == 0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def secure_router(endpoint: str, certificates: Certificates, **more):
    cert, key = certificates.issue("router", "localhost")
    tls = "transport/link/tls"
    return routers.router(
        endpoint,
        **{
            f"{tls}/root_ca_certificate": str(certificates.ca),
            f"{tls}/listen_certificate": str(cert),
            f"{tls}/listen_private_key": str(key),
            f"{tls}/enable_mtls": True,
            **more,
        },
    )


def test_with_certificates_on_both_sides_bridges_speak_tls(make, certificates) -> None:
    endpoint = routers.free_endpoint("tls", "localhost")
    with secure_router(endpoint, certificates):
        cert, key = certificates.issue("robot7")
        a, b = two(make, endpoint, ca=certificates.ca, cert=cert, key=key)
        pub, sub = a.publisher("imu"), b.subscriber("robot7/imu")
        meet(pub, sub)
        pub.publish(1)
        assert sub.recv(20).data == 1


def access_of_document() -> dict:
    """Return the access rules that docs/beyond.md shows."""
    text = (Path(__file__).parents[3] / "docs" / "beyond.md").read_text(encoding="utf-8")
    return json.loads(re.search(r"^```json\n(.*?)^```", text, re.M | re.S)[1])["access_control"]


def test_with_the_access_rules_of_the_document_a_robot_speaks_for_itself_only(make, certificates) -> None:
    endpoint = routers.free_endpoint("tls", "localhost")
    with secure_router(endpoint, certificates, access_control=access_of_document()):
        home, robot, false = (make(name) for name in ("home", "robot", "false"))

        def adapter(name: str) -> ipc.ZenohAdapter:
            cert, key = certificates.issue(name)
            return ipc.ZenohAdapter(connect=endpoint, ca=certificates.ca, cert=cert, key=key)

        at_home = home.bridge(adapter("home"))
        robot.bridge(adapter("robot7"), ipc.Rules(prefix="robot7"))
        liar = false.bridge(adapter("robot8"), ipc.Rules(prefix="robot7"))
        wait_until(lambda: liar.linked)
        lie, pub, sub = false.publisher("imu"), robot.publisher("imu"), home.subscriber("robot7/imu")
        meet(pub, sub)
        pub.publish(1)
        assert sub.recv(20).data == 1
        cmd, ear = home.publisher("robot7/cmd"), robot.subscriber("cmd")
        meet(cmd, ear)
        cmd.publish("go")
        assert ear.recv(20).data == "go"
        assert at_home.status().offers == 1
        assert lie.subscribers == ()


def test_a_wrong_certificate_is_a_sentence_and_tried_again(make, certificates, tmp_path) -> None:
    endpoint = routers.free_endpoint("tls", "localhost")
    other = Certificates(tmp_path)
    with secure_router(endpoint, certificates):
        cert, key = certificates.issue("robot8")
        a, b, c = (make(name) for name in "abc")
        distrusts = a.bridge(ipc.ZenohAdapter(connect=endpoint, ca=other.ca, cert=cert, key=key))
        bare = b.bridge(ipc.ZenohAdapter(connect=endpoint, ca=certificates.ca))
        cert, key = other.issue("robot9")
        stranger = c.bridge(ipc.ZenohAdapter(connect=endpoint, ca=certificates.ca, cert=cert, key=key))
        wait_until(lambda: "its certificate is not accepted" in distrusts.status().detail, timeout=20)
        wait_until(lambda: "TLS fails" in bare.status().detail, timeout=20)
        wait_until(lambda: "TLS fails" in stranger.status().detail, timeout=20)
        assert {each.status().state for each in (distrusts, bare, stranger)} == {"away"}


def test_garbage_on_our_keys_is_counted_and_hurts_nothing(make, endpoint: str) -> None:
    with routers.router(endpoint):
        a, b = two(make, endpoint)
        pub, sub = a.publisher("imu"), b.subscriber("robot7/imu")
        meet(pub, sub)
        bridge, publisher = a.here.id, pub.id
        with routers.client(endpoint) as stranger:
            data = f"ipcpy/data/robot7/imu/{bridge}/{publisher}"
            stranger.put(data, b"no head")
            stranger.put(data, b"x", attachment=b"\xff" * 24)
            stranger.put(f"ipcpy/seen/robot7/imu/{bridge}/{publisher}", b"short")
            tokens = [stranger.liveliness().declare_token("ipcpy/offer/robot7/odd/zz/1")]
            false = f"ipcpy/offer/robot7/false/{'ab' * 8}/{'cd' * 8}"
            asked = stranger.declare_queryable(
                false.replace("/offer/", "/ask/"), lambda query: query.reply(query.key_expr, b'{"ipcpy": 1}')
            )
            tokens.append(stranger.liveliness().declare_token(false))
            causes = lambda: set(b.here.status().dropped)  # noqa: E731
            wait_until(lambda: causes() == {"malformed", "key", "offer"}, timeout=20)
            assert b.here.status().dropped["malformed"] == 2
            asked.undeclare()
            for token in tokens:
                token.undeclare()
        pub.publish(1)
        assert sub.recv(20).data == 1
        assert [topic.name for topic in sub._node.topics() if "false" in topic.name] == []


def test_spaces_on_one_router_do_not_meet(make, endpoint: str) -> None:
    with routers.router(endpoint):
        a, b, c = (make(name) for name in "abc")
        a.bridge(ipc.ZenohAdapter(connect=endpoint, space="red"))
        other = b.bridge(ipc.ZenohAdapter(connect=endpoint, space="blue"))
        c.bridge(ipc.ZenohAdapter(connect=endpoint, space="red"))
        pub, sub = a.publisher("imu"), c.subscriber("imu")
        meet(pub, sub)
        assert other.status().offers == 0


def test_odd_names_cross(make, endpoint: str) -> None:
    with routers.router(endpoint):
        a, b = make("a"), make("b")
        a.bridge(ipc.ZenohAdapter(connect=endpoint))
        b.bridge(ipc.ZenohAdapter(connect=endpoint))
        for name in ("@home/50%", "price$?", "größe/#1", "ipcpyx/data"):
            pub, sub = a.publisher(name), b.subscriber(name)
            meet(pub, sub)
            pub.publish(name)
            assert sub.recv(20).data == name


def test_without_the_extra_a_sentence_names_it(monkeypatch) -> None:
    monkeypatch.setattr("ipcpy.bridges.zenoh.adapter.find_spec", lambda name: None)
    with pytest.raises(ipc.IpcError, match=r"pip install 'ipcpy\[zenoh\]'"):
        ipc.ZenohAdapter(connect="tcp/127.0.0.1:7447")
