"""bridges.mqtt.adapter between two bridges and a real broker: two sites are two domains of this host."""

from __future__ import annotations

import json
import random
import subprocess
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ipcpy as ipc
import tools
from broker import Broker, Phone
from certificates import Certificates
from ipcpy.bridges.mqtt import adapter

pytest.importorskip("aiomqtt", reason="needs ipcpy[mqtt]")

PATIENCE = 30.0
Imu = namedtuple("Imu", "gx gy gz")
IMU = ipc.MsgLibrary({23: ("<3f", Imu)})


class Site:
    """A domain with a bridge and a node of its own."""

    def __init__(self, name: str, broker: Broker, rules: ipc.Rules | None = None, **options: Any) -> None:
        self.node = ipc.Node(f"{name}-program", domain=f"mqtt-{name}-{broker.port}", interfaces="lo")
        self.bridge_node = ipc.Node(f"{name}-bridge", domain=self.node.domain, interfaces="lo")
        rules = rules or ipc.Rules()
        where = options.pop("connect", f"mqtt://{broker.address}:{broker.port}")
        self.bridge = ipc.Bridge(
            ipc.MqttAdapter(where, prefix=rules.prefix, **options), rules, name=name, node=self.bridge_node
        )

    def publisher(self, topic: str, *args: Any, **options: Any) -> ipc.Publisher:
        return ipc.Publisher(topic, *args, node=self.node, **options)

    def subscriber(self, topic: str, *args: Any) -> ipc.Subscriber:
        return ipc.Subscriber(topic, *args, node=self.node)

    def close(self) -> None:
        self.bridge.close()
        self.bridge_node.close()
        self.node.close()


@pytest.fixture
def site(broker: Broker) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(name: str, rules: ipc.Rules | None = None, *, at: Broker = broker, **options: Any) -> Site:
        made.append(Site(name, at, rules, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def r7(*topics: str) -> ipc.Rules:
    return ipc.Rules(topics, prefix="r7")


def meet(sub: ipc.Subscriber, pub: ipc.Publisher) -> None:
    sub.wait_for_publishers(timeout=PATIENCE)
    pub.wait_for_subscribers(timeout=PATIENCE)


@pytest.mark.parametrize("form", ["json", "raw"])
def test_what_is_published_at_one_site_is_what_the_other_one_receives(site, form: str, wait_until) -> None:
    robot, desk = site("robot", r7(), format=form), site("desk")
    pub = robot.publisher("imu", IMU)
    sub, here = desk.subscriber("r7/imu"), robot.subscriber("imu")
    meet(sub, pub)
    here.wait_for_publishers(timeout=PATIENCE)
    dice = random.Random(1)
    sent = [IMU.decode(IMU.encode(Imu(*(dice.uniform(-9, 9) for _ in range(3))))) for _ in range(50)]
    for each in sent:
        pub.publish(each)
    got = [sub.recv(PATIENCE) for _ in sent]
    original = [here.recv(PATIENCE) for _ in sent]
    assert [message.data for message in got] == sent
    assert [(m.seq, m.sent_ns, m.publisher) for m in got] == [(m.seq, m.sent_ns, m.publisher) for m in original]
    (publisher,) = sub.publishers
    assert (publisher.schema, publisher.via["bridge"], publisher.via["node"]) == (IMU.schema, "robot", "robot-program")
    wait_until(lambda: robot.bridge.status().summary()["sent"] == 50, PATIENCE)
    assert desk.bridge.status().summary()["missing"] == {}


def test_reliable_and_latched_topics_are_so_beyond_and_a_large_image_crosses_bit_for_bit(site) -> None:
    robot, desk = site("robot", r7(), topics={"camera": {"format": "raw"}}), site("desk")
    latched = robot.publisher("map", keep=3)
    for number in range(5):
        latched.publish({"number": number})
    sub = desk.subscriber("r7/map")
    assert [sub.recv(PATIENCE).data["number"] for _ in range(3)] == [2, 3, 4]
    late = desk.subscriber("r7/map")
    assert late.recv(PATIENCE).seq == 3
    assert sub.publishers[0].keep == 3
    reliable = robot.publisher("plan", reliable=True)
    plan = desk.subscriber("r7/plan")
    meet(plan, reliable)
    for number in range(300):
        reliable.publish(number)
    assert [plan.recv(PATIENCE).data for _ in range(300)] == list(range(300))
    assert plan.publishers[0].reliable
    camera, images = robot.publisher("camera", ipc.Raw()), desk.subscriber("r7/camera")
    meet(images, camera)
    image = random.Random(2).randbytes(1_000_000)
    camera.publish(image)
    assert bytes(images.recv(PATIENCE).data) == image


def test_a_phone_reads_and_writes_plain_json(site, broker, spawn) -> None:
    robot = site("robot", r7("out:imu", "out:plan", "in:cmd", "in:setpoint", "in:mode"), map={"mode": "home/mode"})
    phone = Phone(broker)
    commands, modes = robot.subscriber("cmd"), robot.subscriber("mode")
    setpoints = robot.subscriber("setpoint", IMU)
    with phone.listening(spawn, "r7/#") as app:
        imu, plan = robot.publisher("imu", IMU), robot.publisher("plan", reliable=True)
        imu.wait_for_subscribers(timeout=PATIENCE)
        plan.wait_for_subscribers(timeout=PATIENCE)
        imu.publish(Imu(0.5, 1, -2))
        app.wait_line(r'^r7/imu {"gx":0.5,"gy":1.0,"gz":-2.0} 0 0$', PATIENCE)
        plan.publish(["a", 1])
        app.wait_line(r'^r7/plan \["a",1\] 0 1$', PATIENCE)
    phone.publish("r7/cmd", '{"speed": 0.5}')
    assert commands.recv(PATIENCE).data == {"speed": 0.5}
    phone.publish("home/mode", "ON")
    assert modes.recv(PATIENCE).data == "ON"
    phone.publish("r7/setpoint", '{"gx": 1, "gy": 2, "gz": 3}', qos=1)
    assert setpoints.recv(PATIENCE).data == Imu(1, 2, 3)
    phone.publish("r7/cmd", '{"broken')
    phone.publish("r7/cmd", b"\xff\xfe")
    phone.publish("r7/cmd", "7")
    assert commands.recv(PATIENCE).data == 7
    assert robot.bridge.status().dropped == {"malformed": 2}


def test_who_asks_faster_than_the_broker_takes_answers_is_not_answered(site, broker, wait_until, monkeypatch) -> None:
    robot = site("robot", r7())
    plan = robot.publisher("plan", keep=1)
    plan.publish(bytes(1000))
    wait_until(lambda: robot.bridge.status().summary()["sent"] == 1, PATIENCE)
    monkeypatch.setattr(adapter, "ANSWERS", -1)
    Phone(broker).publish(f"ipcpy/asks/{robot.bridge.id}/{plan.id}", "ab" * 8)
    wait_until(lambda: robot.bridge.status().dropped == {"crowded": 1}, PATIENCE)


def test_retained_is_latched_and_latched_is_retained(site, broker, spawn) -> None:
    phone = Phone(broker)
    phone.publish("r7/door", '"open"', retain=True)
    robot = site("robot", r7())
    door = robot.subscriber("door")
    assert door.recv(PATIENCE).data == "open"
    assert robot.subscriber("door").recv(PATIENCE).data == "open"
    rooms = robot.publisher("map", keep=1)
    rooms.publish({"rooms": 3})
    with phone.listening(spawn, "r7/map") as app:
        app.wait_line(r'^r7/map {"rooms":3}', PATIENCE)
    with phone.listening(spawn, "r7/map") as app:  # it comes late, and is given what the broker retained
        app.wait_line(r'^r7/map {"rooms":3} 1', PATIENCE)


def test_what_an_app_publishes_arrives_by_a_bridge_that_was_started_anew_too(site, broker, wait_until) -> None:
    robot = site("robot", r7("in:cmd"))
    commands = robot.subscriber("cmd")
    for numbers in (range(10), range(10, 15)):
        wait_until(lambda: robot.bridge.linked, PATIENCE)
        for number in numbers:
            Phone(broker).publish("r7/cmd", str(number))
        assert [commands.recv(PATIENCE).data for _ in numbers] == list(numbers)
        robot.bridge.close()
        robot.bridge = ipc.Bridge(
            ipc.MqttAdapter(f"{broker.address}:{broker.port}", prefix="r7"), r7("in:cmd"), node=robot.bridge_node
        )
    assert commands.stats.lost == {}


def test_a_bridge_that_ended_leaves_nothing_at_the_broker(site, broker, spawn, wait_until) -> None:
    robot = site("robot", r7())
    pub = robot.publisher("map", keep=1)
    pub.wait_for_subscribers(timeout=PATIENCE)
    client = broker.clients()[-1]
    robot.bridge.close()
    with Phone(broker).listening(spawn, "ipcpy/#") as app:
        Phone(broker).publish("ipcpy/end", "here")
        app.wait_line("^ipcpy/end here", PATIENCE)
        assert app.stdout.splitlines() == ["ipcpy/end here 0 0"]
    Phone(broker, "-i", client, "-c", "-V", "5").publish("x", "1")  # who asks whether the broker has its session yet
    says = broker.process.wait_line(rf"Sending CONNACK to {client} \((\d), 0\)", PATIENCE, stream="stderr")
    assert says.group(1) == "0"


def test_two_bridges_on_one_lan_and_both_ways_each_message_arrives_once(site, broker, wait_until) -> None:
    robot, desk = site("robot"), site("desk")
    second = ipc.Node("second", domain=robot.node.domain, interfaces="lo")
    with ipc.Bridge(ipc.MqttAdapter(f"{broker.address}:{broker.port}"), name="second", node=second) as other:
        wait_until(lambda: other.linked and robot.bridge.linked, PATIENCE)
        there, here = desk.subscriber("chat"), robot.subscriber("chat")
        mine, yours = robot.publisher("chat", reliable=True), desk.publisher("chat", reliable=True)
        for sub in (there, here):
            sub.wait_for_publishers(2, timeout=PATIENCE)
        for pub in (mine, yours):
            pub.wait_for_subscribers(2, timeout=PATIENCE)
        wait_until(lambda: len(there.publishers) == len(here.publishers) == 2, PATIENCE)
        for number in range(20):
            mine.publish(["robot", number])
            yours.publish(["desk", number])
        Phone(broker).publish("chat", '["phone", 0]')
        for sub in (there, here):
            got = [sub.recv(PATIENCE).data for _ in range(41)]
            assert sorted(got) == sorted([["phone", 0], *([who, n] for who in ("robot", "desk") for n in range(20))])
            with pytest.raises(TimeoutError):
                sub.recv(0.3)
    second.close()


def test_a_broker_that_is_killed_and_started_again_is_found_again(site, broker, wait_until) -> None:
    robot, desk = site("robot", r7()), site("desk")
    pub, sub = robot.publisher("imu", IMU), desk.subscriber("r7/imu")
    latched = robot.publisher("map", keep=1)
    latched.publish(1)
    maps = desk.subscriber("r7/map")
    meet(sub, pub)
    assert maps.recv(PATIENCE).data == 1
    broker.kill()
    wait_until(lambda: robot.bridge.status().state == desk.bridge.status().state == "away", PATIENCE)
    assert "no broker at" in robot.bridge.status().detail or "was lost" in robot.bridge.status().detail
    wait_until(lambda: not sub.publishers, PATIENCE)
    pub.publish(Imu(0, 0, 0))  # lost
    broker.start()
    meet(sub, pub)
    wait_until(lambda: robot.bridge.status().exports[0].wanted, PATIENCE)
    wait_until(lambda: pub.subscribers, PATIENCE)
    pub.publish(Imu(1, 2, 3))
    assert sub.recv(PATIENCE).data == Imu(1, 2, 3)
    assert desk.subscriber("r7/map").recv(PATIENCE).data == 1
    assert robot.bridge.status().outages == 1


def test_who_is_not_let_in_is_told_so_and_goes_on_trying(make_broker, site, tmp_path: Path, wait_until) -> None:
    (tmp_path / "pw").write_text("robot:secret\n")
    tools.need("mosquitto_passwd")
    subprocess.run([tools.find("mosquitto_passwd") or "", "-U", str(tmp_path / "pw")], check=True)
    strict = make_broker(more=["allow_anonymous false", f"password_file {tmp_path / 'pw'}"])
    stranger = site("stranger", at=strict)
    wait_until(lambda: "lets us not in: Not authorized" in stranger.bridge.status().detail, PATIENCE)
    wait_until(lambda: stranger.bridge.status().more["attempts"] > 1, PATIENCE)
    (tmp_path / "password").write_text("secret\n")
    known = site("known", at=strict, username="robot", password_file=str(tmp_path / "password"))
    wait_until(lambda: known.bridge.linked, PATIENCE)


@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_certificates_of_both_sides_are_checked(make_broker, site, tmp_path: Path, wait_until) -> None:
    made, wrong = Certificates(tmp_path / "ca"), Certificates(tmp_path / "other")
    cert, key = made.issue("broker", "127.0.0.1")
    lines = [f"cafile {made.ca}", f"certfile {cert}", f"keyfile {key}", "require_certificate true"]
    tls = make_broker(more=lines)
    where = f"mqtts://127.0.0.1:{tls.port}"
    mine, mine_key = made.issue("robot")
    right = site("right", at=tls, connect=where, ca=str(made.ca), cert=str(mine), key=str(mine_key))
    wait_until(lambda: right.bridge.linked, PATIENCE)
    unsure = site("unsure", at=tls, connect=where, ca=str(wrong.ca))
    wait_until(lambda: "the certificate of the broker" in unsure.bridge.status().detail, PATIENCE)
    assert "--ca names who vouches for it" in unsure.bridge.status().detail
    theirs, their_key = wrong.issue("robot")
    foreign = site("foreign", at=tls, connect=where, ca=str(made.ca), cert=str(theirs), key=str(their_key))
    wait_until(lambda: "refuses our certificate: tlsv1 alert unknown ca" in foreign.bridge.status().detail, PATIENCE)


def test_what_the_broker_does_not_let_us_hear_is_in_the_status(make_broker, site, tmp_path: Path, wait_until) -> None:
    (tmp_path / "acl").write_text("topic readwrite ipcpy/#\ntopic write r7/#\n")
    strict = make_broker(more=[f"acl_file {tmp_path / 'acl'}"])
    robot = site("robot", r7(), at=strict)
    wait_until(lambda: robot.bridge.linked, PATIENCE)
    pub = robot.publisher("plan", reliable=True)
    pub.wait_for_subscribers(timeout=PATIENCE)
    pub.publish(1)
    wait_until(lambda: robot.bridge.status().summary()["sent"] == 1, PATIENCE)
    assert robot.bridge.status().more["refused"] == 0
    json.dumps(robot.bridge.status().record())
