"""FoxgloveServer, looked at by a viewer that knows the protocol alone, with decoders of others."""

from __future__ import annotations

import json
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import ipcpy as ipc
import ipcpy.testing
from foxview import Received, Viewer
from ipcpy.viewers.foxglove import FoxgloveServer

pytest.importorskip("foxglove", reason="needs ipcpy[foxglove]")
pytest.importorskip("websockets", reason="needs websockets")
mcap_ros2 = pytest.importorskip("mcap_ros2.decoder", reason="needs mcap-ros2-support")

Imu = namedtuple("Imu", "gx gz")


class Vec(NamedTuple):
    x: float
    y: float


class Twist(NamedTuple):
    linear: Vec
    name: str
    covariance: list[float]


def decoded(received: Received) -> Any:
    """Return a message as programs of ROS 2 decode it."""
    from mcap.records import Schema

    channel = received.channel
    schema = Schema(1, channel["schema"].encode(), channel["schemaEncoding"], channel["schemaName"])
    decode = mcap_ros2.DecoderFactory().decoder_for(channel["encoding"], schema)
    assert decode is not None
    return decode(received.data)


class Place:
    """A robot, a server that shows what it publishes, and a viewer that looks at it."""

    def __init__(self, network: ipcpy.testing.MemoryNetwork) -> None:
        self.network = network
        self.robot = network.node("robot")
        self.servers: list[FoxgloveServer] = []
        self.viewers: list[Viewer] = []

    def serve(self, *topics: str, **options: Any) -> FoxgloveServer:
        server = FoxgloveServer(topics or "/**", port=0, node=self.network.node("foxglove"), **options)
        self.servers.append(server)
        return server

    def view(self, server: FoxgloveServer | None = None, **options: Any) -> Viewer:
        viewer = Viewer((server or self.serve()).url, **options)
        self.viewers.append(viewer)
        return viewer

    def publisher(self, topic: str, codec: Any = None, **options: Any) -> ipc.Publisher:
        return ipc.Publisher(topic, codec, node=self.robot, **options)

    def close(self) -> None:
        for viewer in self.viewers:
            viewer.close()
        for server in self.servers:
            server.close()


@pytest.fixture
def place() -> Iterator[Place]:
    with ipcpy.testing.MemoryNetwork() as network:
        place = Place(network)
        yield place
        place.close()


def look_at(viewer: Viewer, server: FoxgloveServer, pub: ipc.Publisher) -> None:
    """Look at a topic, and wait until it is subscribed to."""
    viewer.channel(pub.topic)
    viewer.look(pub.topic)
    viewer.wait(lambda: server.stats.topics == (pub.topic,) and pub.subscribers)
    pub.wait_for_subscribers(timeout=10)


def test_the_protocol_is_that_of_the_sdk_and_the_server_says_what_it_can(place: Place) -> None:
    viewer = place.view()
    viewer.wait(lambda: viewer.info)
    assert viewer.protocol == "foxglove.sdk.v1"
    assert viewer.info["capabilities"] == ["connectionGraph"]
    assert viewer.info["name"].startswith("ipcpy, domain ")


def test_struct_messages_are_cdr_that_others_decode_to_what_was_published(place: Place) -> None:
    server = place.serve()
    viewer = place.view(server)
    pub = place.publisher("imu", ipc.MsgLibrary({23: ("<2f", Imu)}))
    channel = viewer.channel("imu", "ipcpy_msgs/msg/Imu")
    assert (channel["encoding"], channel["schemaEncoding"]) == ("cdr", "ros2msg")
    look_at(viewer, server, pub)
    sent = [Imu(number, -0.5) for number in range(20)]
    for data in sent:
        pub.publish(data)
    got = viewer.messages("imu", 20)
    assert [(each.gx, each.gz) for each in map(decoded, got)] == sent
    times = [each.log_time for each in got]
    assert times == sorted(times)
    assert server.stats.messages == 20


def test_types_in_types_texts_and_arrays_arrive_too(place: Place) -> None:
    server = place.serve()
    viewer = place.view(server)
    pub = place.publisher("twist", ipc.MsgLibrary({7: ("<2d16s3f", Twist)}))
    look_at(viewer, server, pub)
    pub.publish(Twist(Vec(1.5, -2.5), "größe", [1.0, 2.0, 3.0]))
    got = decoded(viewer.messages("twist")[0])
    assert (got.linear.x, got.linear.y, got.name, list(got.covariance)) == (1.5, -2.5, "größe", [1.0, 2.0, 3.0])


def test_dicts_are_json_with_a_schema(place: Place) -> None:
    server = place.serve()
    viewer = place.view(server)
    pub = place.publisher("state", keep=1)
    pub.publish({"mode": "walk", "battery": 0.5, "legs": [1, 2]})
    channel = viewer.channel("state", "ipcpy.state")
    assert (channel["encoding"], channel["schemaEncoding"]) == ("json", "jsonschema")
    assert set(json.loads(channel["schema"])["properties"]) == {"mode", "battery", "legs"}
    viewer.look("state")
    assert json.loads(viewer.messages("state")[0].data) == {"mode": "walk", "battery": 0.5, "legs": [1, 2]}


def test_images_are_images(place: Place) -> None:
    server = place.serve()
    viewer = place.view(server)
    pub = place.publisher("camera", keep=1)
    image = np.arange(48 * 64 * 3, dtype="uint8").reshape(48, 64, 3)
    pub.publish(image)
    viewer.channel("camera", "sensor_msgs/msg/Image")
    viewer.look("camera")
    got = decoded(viewer.messages("camera")[0])
    assert (got.height, got.width, got.encoding, got.step) == (48, 64, "rgb8", 192)
    assert bytes(got.data) == image.tobytes()


def test_a_jpeg_is_a_compressed_image_and_bgr_is_bgr(place: Place) -> None:
    viewer = place.view(place.serve(bgr=True))
    jpeg = np.frombuffer(b"\xff\xd8\xff" + bytes(100), "uint8")
    frame, raw = place.publisher("jpeg", keep=1), place.publisher("bgr", keep=1)
    frame.publish(jpeg)
    raw.publish(np.zeros((8, 8, 3), "uint8"))
    viewer.channel("jpeg", "sensor_msgs/msg/CompressedImage")
    viewer.channel("bgr", "sensor_msgs/msg/Image")
    viewer.look("jpeg", "bgr")
    got = decoded(viewer.messages("jpeg")[0])
    assert (got.format, bytes(got.data)) == ("jpeg", jpeg.tobytes())
    assert decoded(viewer.messages("bgr")[0]).encoding == "bgr8"


def test_messages_look_as_in_a_recording_of_them(place: Place, tmp_path: Path) -> None:
    mcap_reader = pytest.importorskip("mcap.reader", reason="needs ipcpy[bag]")
    library = ipc.MsgLibrary({1: ("<2f", Imu), 7: ("<2d16s3f", Twist)})
    published: dict[str, tuple[Any, list[Any]]] = {
        "structs": (library, [Imu(1, 2), Twist(Vec(1, 2), "größe", [1, 2, 3])]),
        "dicts": (None, [{"a": 1, "array": np.arange(3.0)}, {"a": 2, "b": None}]),
        "image": (None, [np.arange(64, dtype="uint8").reshape(8, 8)]),
        "both": (None, [{"n": 1, "left": np.zeros((200, 200), "uint8")}]),
        "raw": (ipc.Raw(), [b"\0\1"]),
    }
    recorder = ipc.Recorder(tmp_path / "run.mcap", node=place.network.node("recorder"))
    server = place.serve()
    viewer = place.view(server)
    viewer.look(*published, "structs/Imu", "structs/Twist", "both/left")
    pubs = {topic: place.publisher(topic, codec, keep=10) for topic, (codec, _) in published.items()}
    for topic, pub in pubs.items():
        pub.wait_for_subscribers(timeout=10)
        for data in published[topic][1]:
            pub.publish(data)
    shown = {"structs/Imu": 1, "structs/Twist": 1, "dicts": 2, "image": 1, "both": 1, "both/left": 1, "raw": 1}
    for topic, count in shown.items():
        viewer.messages(topic, count)
    recorder.close()
    with open(recorder.path, "rb") as file:
        kept = {
            (channel.topic, channel.message_encoding, schema.name if schema else "", bytes(message.data))
            for schema, channel, message in mcap_reader.make_reader(file).iter_messages()
            if channel.topic != "ipcpy/originals"
        }
    names = ("topic", "encoding", "schemaName")
    got = {(*(each.channel[name] for name in names), each.data) for each in viewer.received}
    assert got == kept
    assert len(kept) == sum(shown.values())


def test_channels_come_and_go_with_topics(place: Place) -> None:
    server = place.serve()
    viewer = place.view(server)
    pub = place.publisher("imu", ipc.MsgLibrary({23: ("<2f", Imu)}))
    viewer.channel("imu")
    pub.close()
    viewer.wait(lambda: not viewer.channels)
    again = place.publisher("imu", ipc.MsgLibrary({23: ("<2d", Imu)}))
    assert "float64 gx" in viewer.channel("imu", "ipcpy_msgs/msg/Imu")["schema"]
    again.close()
    viewer.wait(lambda: not viewer.channels)


def test_who_looks_at_a_topic_goes_on_to_when_its_publisher_starts_again(place: Place) -> None:
    server = place.serve()
    viewer = place.view(server)
    library = ipc.MsgLibrary({23: ("<2f", Imu)})
    with place.publisher("imu", library) as pub:
        look_at(viewer, server, pub)
        pub.publish(Imu(7, 0))
        viewer.messages("imu", 1)
    viewer.wait(lambda: not viewer.channels)
    with place.publisher("imu", library) as pub:
        pub.wait_for_subscribers(timeout=20)
        viewer.wait(lambda: pub.publish(Imu(7, 1)) and _is_shown(viewer, 1))


def _is_shown(viewer: Viewer, number: int) -> bool:
    return any(decoded(each).gz == number for each in viewer.received)


def test_only_what_somebody_looks_at_is_subscribed_to(place: Place) -> None:
    server = place.serve()
    viewer = place.view(server)
    library = ipc.MsgLibrary({23: ("<2f", Imu)})
    imu, gps = place.publisher("imu", library), place.publisher("gps", library)
    viewer.channel("gps")
    assert imu.subscribers == gps.subscribers == ()
    look_at(viewer, server, imu)
    assert gps.subscribers == ()
    viewer.look_away()
    viewer.wait(lambda: not imu.subscribers)
    assert server.stats.topics == ()


def test_one_message_of_msgpack_says_how_it_looks_and_then_nobody_listens(place: Place) -> None:
    server = place.serve()
    viewer = place.view(server)
    pub = place.publisher("state")
    viewer.wait(lambda: pub.subscribers)  # somebody wants to know how it looks
    viewer.channel("state", "ipcpy.state")  # and shows it all the same
    pub.wait_for_subscribers(timeout=10)
    pub.publish({"x": 1})
    viewer.wait(lambda: any('"x"' in channel["schema"] for channel in viewer.channels.values()))
    viewer.wait(lambda: not pub.subscribers)
    assert viewer.received == []


def test_a_latched_message_is_shown_to_who_looks_again(place: Place) -> None:
    server = place.serve()
    viewer = place.view(server)
    pub = place.publisher("map", keep=1)
    pub.publish({"cells": 5})
    viewer.channel("map", "ipcpy.map")
    viewer.look("map")
    viewer.messages("map", 1)
    viewer.look_away()
    viewer.wait(lambda: server.stats.topics == ())
    viewer.look("map")
    viewer.messages("map", 2)
    assert {each.data for each in viewer.received} == {b'{"cells":5}'}


def test_a_second_look_within_a_moment_shows_what_is_latched_too(place: Place) -> None:
    server = place.serve()
    viewer = place.view(server)
    pub = place.publisher("map", keep=1)
    pub.publish({"cells": 5})
    viewer.channel("map", "ipcpy.map")
    viewer.look("map")
    viewer.messages("map", 1)
    viewer.look_away()
    viewer.wait(lambda: not server._looked)  # but it is still subscribed to, so nothing comes anew
    viewer.look("map")
    viewer.messages("map", 2)


def test_several_messages_of_a_library_are_channels_of_their_own(place: Place) -> None:
    server = place.serve()
    viewer = place.view(server)
    pub = place.publisher("all", ipc.MsgLibrary({1: ("<2f", Imu), 2: ("i", int)}))
    viewer.channel("all/Imu"), viewer.channel("all/Int")
    viewer.look("all/Int")
    viewer.wait(lambda: pub.subscribers)
    pub.wait_for_subscribers(timeout=10)
    pub.publish(Imu(1, 2))
    pub.publish(77)
    assert decoded(viewer.messages("all/Int")[0]).data == 77
    assert {each.channel["topic"] for each in viewer.received} == {"all/Int"}


def test_topics_are_chosen_by_name_and_pattern(place: Place) -> None:
    server = place.serve("imu", "camera/**", exclude="camera/raw")
    viewer = place.view(server)
    pubs = [place.publisher(topic, ipc.Raw()) for topic in ("gps", "camera/raw", "imu", "camera/left")]
    viewer.channel("imu"), viewer.channel("camera/left")
    assert {channel["topic"] for channel in viewer.channels.values()} == {"imu", "camera/left"}
    assert len(pubs) == 4


def test_messages_are_thinned_where_a_rate_is_asked_for(place: Place) -> None:
    server = place.serve(max_rate=0.001)
    viewer = place.view(server)
    pub = place.publisher("imu", ipc.Raw())
    look_at(viewer, server, pub)
    for _ in range(10):
        pub.publish(b"x")
    viewer.messages("imu")
    viewer.wait(lambda: server.stats.thinned == 9)
    assert server.stats.messages == 1


def test_the_connection_graph_has_nodes_topics_and_services_and_follows_them(place: Place) -> None:
    viewer = place.view()
    other = place.network.node("planner")
    pub = place.publisher("imu", ipc.Raw())
    sub = ipc.Subscriber("imu", node=other)
    service = ipc.Service("arm/move", lambda request: request, node=place.robot)
    viewer.send({"op": "subscribeConnectionGraph"})
    viewer.wait(
        lambda: (
            viewer.graph
            == {
                "published": {"imu": ["robot"]},
                "subscribed": {"imu": ["planner"]},
                "services": {"arm/move": ["robot"]},
            }
        )
    )
    for each in (sub, pub, service):
        each.close()
    viewer.wait(lambda: viewer.graph == {"published": {}, "subscribed": {}, "services": {}})


def test_a_service_that_comes_last_is_in_the_graph(place: Place) -> None:
    viewer = place.view()
    pub = place.publisher("imu", ipc.Raw())
    viewer.send({"op": "subscribeConnectionGraph"})
    viewer.wait(lambda: viewer.graph["published"] == {"imu": ["robot"]})
    with ipc.Service("arm/move", lambda request: request, node=place.robot):
        viewer.wait(lambda: viewer.graph["services"] == {"arm/move": ["robot"]})
    viewer.wait(lambda: viewer.graph["services"] == {})
    pub.close()


def test_viewers_publish_nothing_unless_they_may(place: Place) -> None:
    server = place.serve()
    viewer = place.view(server)
    viewer.offer(1, "cmd", "json")
    viewer.publish(1, b'{"speed": 1}')
    viewer.wait(lambda: any("clientPublish" in text for text in viewer.status))
    assert "cmd" not in {topic.name for topic in place.robot.topics()}


def test_viewers_publish_where_they_may(place: Place) -> None:
    server = place.serve(publish="cmd/**")
    viewer = place.view(server)
    sub = ipc.Subscriber("cmd/speed", node=place.robot)
    viewer.wait(lambda: viewer.info)
    assert viewer.info["capabilities"] == ["clientPublish"]
    assert viewer.info["supportedEncodings"] == ["json", "cdr"]
    viewer.offer(1, "/cmd/speed", "json")
    sub.wait_for_publishers(timeout=10)
    viewer.publish(1, b'{"speed": 1.5}')
    assert sub.recv(timeout=10).data == {"speed": 1.5}
    viewer.offer(2, "imu", "json")
    viewer.wait(lambda: any("may not publish on 'imu'" in text for text in viewer.status))
    assert "imu" not in {topic.name for topic in place.robot.topics()}
    viewer.wait(lambda: server.stats.published == 1)


@pytest.mark.parametrize(
    "told",
    [
        "no json",
        "{}",
        '{"op": "nothing"}',
        '{"op": "subscribe", "subscriptions": [{"id": 1, "channelId": 99}]}',
        '{"op": "subscribe", "subscriptions": 5}',
        '{"op": "unsubscribe", "subscriptionIds": [7]}',
        "\0",
    ],
)
def test_a_viewer_that_talks_nonsense_harms_nobody(place: Place, told: str) -> None:
    server = place.serve()
    bad, good = place.view(server), place.view(server)
    bad._socket.send(told)
    bad._socket.send(told.encode())
    pub = place.publisher("imu", ipc.Raw())
    look_at(good, server, pub)
    pub.publish(b"x")
    assert good.messages("imu")[0].data == b"x"


STORM = """
    import json, threading, time
    import ipcpy as ipc
    import ipcpy.testing
    from ipcpy.viewers.foxglove import FoxgloveServer
    from websockets.sync.client import connect

    def subscribe_to_nothing(url):
        with connect(url, subprotocols=["foxglove.sdk.v1"], max_size=None) as viewer:
            threading.Thread(target=lambda: [None for _ in viewer], daemon=True).start()
            told = [{"id": 1, "channelId": 10**9}, {"id": 2, "channelId": 10**9 + 1}]
            while True:
                viewer.send(json.dumps({"op": "subscribe", "subscriptions": told}))
                time.sleep(0.001)

    def for_ever(url):
        while True:
            try:
                subscribe_to_nothing(url)
            except Exception:  # it was disconnected
                pass

    with ipcpy.testing.MemoryNetwork() as network:
        robot = network.node("robot")
        with FoxgloveServer(port=0, node=network.node("viewer")) as server:
            threading.Thread(target=for_ever, args=(server.url,), daemon=True).start()
            until = time.monotonic() + 2
            while time.monotonic() < until:
                with ipc.Publisher("imu", ipc.Raw(), node=robot):
                    time.sleep(0.001)
    print("alive", flush=True)
"""


def test_channels_that_are_none_do_not_lock_the_process_up(spawn) -> None:
    process = spawn(STORM)  # the SDK held all of Python up within a second
    process.wait_line("alive", timeout=40)


def test_a_viewer_that_disconnects_is_looking_no_more(place: Place) -> None:
    server = place.serve()
    viewer = place.view(server)
    pub = place.publisher("imu", ipc.Raw())
    look_at(viewer, server, pub)
    viewer.close()
    viewer.wait(lambda: not pub.subscribers)


def test_a_viewer_that_does_not_read_slows_nobody_down(place: Place) -> None:
    server = place.serve()
    slow, quick = place.view(server, max_queue=1), place.view(server)
    pub = place.publisher("imu", ipc.Raw())
    look_at(quick, server, pub)
    slow.channel("imu")
    with slow._changed:  # its thread takes nothing from now on
        slow._subscribe(next(iter(slow.channels.values())))
        body = bytes(100_000)
        for _ in range(300):
            pub.publish(body)
            quick.wait(lambda: server.stats.messages + server.stats.lost >= 1)
        count = len(quick.messages("imu", 100))
    assert count >= 100


def test_a_thousand_topics_that_come_at_once_are_shown_to_who_is_there_and_to_who_comes(place: Place) -> None:
    server = place.serve()
    first = place.view(server)
    first.wait(lambda: first.info)
    pubs = [place.publisher(f"topic/{number}", ipc.Raw()) for number in range(1000)]
    first = there(place, server, first, len(pubs))
    second = place.view(server)
    second.wait(lambda: len(second.channels) == len(pubs))
    for pub in pubs:
        pub.close()
    there(place, server, first, 0)


def there(place: Place, server: FoxgloveServer, viewer: Viewer, count: int) -> Viewer:
    """Wait until a viewer knows so many channels; one that the SDK parted with, for it read too slowly, comes back."""
    viewer.wait(lambda: len(viewer.channels) == count or any("Disconnected" in text for text in viewer.status), 40)
    if len(viewer.channels) == count:
        return viewer
    again = place.view(server)
    again.wait(lambda: again.info and len(again.channels) == count, 40)
    return again


def test_a_page_of_elsewhere_cannot_look_and_foxglove_can(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    from websockets.exceptions import InvalidStatus

    server = place.serve()
    with pytest.raises(InvalidStatus, match="403"):
        Viewer(server.url, origin="https://evil.example")
    assert "'https://evil.example' may not look" in caplog.text
    viewer = place.view(server, origin="https://app.foxglove.dev")
    viewer.wait(lambda: viewer.info)


def test_a_port_that_is_taken_is_said_and_nothing_is_left(place: Place) -> None:
    server = place.serve()
    with pytest.raises(ipc.TransportError, match=f"cannot serve at 127.0.0.1:{server.port}: .*in use"):
        FoxgloveServer(port=server.port, node=place.network.node("second"))
    with pytest.raises(ipc.TransportError, match="cannot serve at no.such.host.invalid"):
        FoxgloveServer(host="no.such.host.invalid", port=0, publish="cmd", node=place.network.node("third"))
    assert not [thread for thread in threading.enumerate() if "viewers" in thread.name]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"port": -1}, "port is a number from 0 to 65535"),
        ({"port": True}, "port is a number"),
        ({"host": ""}, "host is an address"),
        ({"max_rate": 0}, "a number of messages a second"),
        ({"topics": ()}, "got none"),
        ({"publish": "a b"}, "a topic is a name"),
        ({"origins": "viewer.example"}, "an origin is such as"),
    ],
)
def test_wrong_arguments_say_what_was_expected(place: Place, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ipc.ArgumentError, match=text):
        FoxgloveServer(node=place.network.node("viewer"), **{"port": 0, **options})


def test_it_ends_when_it_is_closed_or_its_node_is(place: Place, wait_until: Callable[..., Any]) -> None:
    node = place.network.node("other")
    server = FoxgloveServer(port=0, node=node)
    node.close()
    wait_until(lambda: server.closed)
    server.close()
    server.close()
    again = place.serve()
    viewer = place.view(again)
    viewer.wait(lambda: viewer.info)
    again.close()
    assert (again.closed, again.port) == (True, 0)
    assert not place.network.node("last").closed


def test_a_node_of_its_own_goes_with_it() -> None:
    with FoxgloveServer(port=0) as server:
        assert server.port > 0
        assert server.url == f"ws://127.0.0.1:{server.port}"
    assert server.closed
