from __future__ import annotations

import ipcpy as ipc
from ipcpy.subscribing.tap import Tap


def test_a_tap_takes_bodies_of_any_codec_and_knows_with_which_number_each_publisher_begins() -> None:
    with ipc.Node("pub", interfaces="lo") as here, ipc.Node("bridge", interfaces="lo") as there:
        with ipc.Publisher("imu", node=here) as packed, ipc.Publisher("imu", ipc.Raw(), node=here) as raw:
            packed.publish(1)
            with Tap("imu", depth=10, depth_bytes=1 << 20, node=there) as tap:
                assert tap.firsts() == {} or set(tap.firsts()) <= {packed.id, raw.id}
                tap.wait_for_publishers(2, timeout=20)
                packed.wait_for_subscribers(timeout=20)
                raw.wait_for_subscribers(timeout=20)
                assert tap.firsts() == {packed.id: 2, raw.id: 1}
                packed.publish({"a": 1})
                assert bytes(tap.recv(20).data) == ipc.MsgPack().encode({"a": 1})
                raw.publish_many([b"1", b"2"])
                assert [bytes(tap.recv(20).data) for _ in range(2)] == [b"1", b"2"]


def test_its_topic_is_a_whole_name_whatever_its_node_makes_of_names() -> None:
    with ipc.Node("bridge", interfaces="lo", namespace="robot1", remap="/imu:=/gps") as node:
        with Tap("imu", depth=10, depth_bytes=1 << 20, node=node) as tap:
            assert tap.topic == "imu"
