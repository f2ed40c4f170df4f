from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.publishing.relay import Relay
from sites import drain

X = "ab" * 8
VIA = {"bridge": "b7", "node": "driver", "host": "h7", "path": ["cd" * 8]}


@pytest.fixture
def pair():
    with ipc.Node("bridge", interfaces="lo") as here, ipc.Node("ear", interfaces="lo") as there:
        yield here, there


def relay(node: ipc.Node, **more) -> Relay:
    return Relay("imu", "raw", {}, id=X, via=VIA, node=node, **more)


def test_messages_have_the_numbers_times_and_publisher_of_the_one_beyond(pair) -> None:
    here, there = pair
    with relay(here) as pub, ipc.Subscriber("imu", node=there) as sub:
        there.wait_complete(2)
        pub.begin(5000)
        assert (pub.begun, pub.id) == (True, X)
        assert pub.relay(b"1", 5000, 123) == 1
        assert pub.relay(b"2", 5001, 124) == 1
        assert [(m.seq, m.sent_ns, m.publisher) for m in drain(sub, 2)] == [(5000, 123, X), (5001, 124, X)]
        assert sub.stats.lost == {}
        assert dict(sub.publishers[0].via) == VIA


def test_large_messages_have_the_times_of_the_one_beyond_also_in_shared_memory(pair) -> None:
    here, there = pair
    with relay(here) as pub, ipc.Subscriber("imu", node=there) as sub:
        there.wait_complete(2)
        for n in range(1, 31):
            pub.relay(bytes(500_000), n, 100 + n)
            message = sub.recv(20)
            assert (message.seq, message.sent_ns) == (n, 100 + n)


def test_nobody_is_matched_before_it_is_known_with_which_number_it_begins(pair) -> None:
    here, there = pair
    with relay(here) as pub, ipc.Subscriber("imu", node=there) as sub:
        there.wait_complete(2)
        with pytest.raises(TimeoutError):
            sub.wait_for_publishers(timeout=0.3)
        pub.begin(9)
        assert sub.wait_for_publishers(timeout=20) == 1


def test_a_gap_is_a_loss_to_subscribers_and_an_old_number_is_none_of_a_message(pair) -> None:
    here, there = pair
    with relay(here) as pub, ipc.Subscriber("imu", node=there) as sub:
        there.wait_complete(2)
        for seq in (1, 2, 6, 6, 3, 7):
            pub.relay(bytes([seq]), seq, seq)
        assert [m.seq for m in drain(sub, 4)] == [1, 2, 6, 7]
        assert (sub.stats.lost, sub.stats.duplicates) == ({"network": 3}, 0)


@pytest.mark.parametrize(("reliable", "keep", "late"), [(True, 0, []), (False, 3, [20, 21]), (True, 1, [21])])
def test_latecomers_get_what_is_kept_since_the_last_gap(pair, reliable: bool, keep: int, late: list[int]) -> None:
    here, there = pair
    with relay(here, reliable=reliable, keep=keep) as pub, ipc.Subscriber("imu", node=there) as first:
        there.wait_complete(2)
        for seq in (10, 11, 20, 21):
            pub.relay(bytes([seq]), seq, seq)
        assert [m.seq for m in drain(first, 4)] == [10, 11, 20, 21]
        with ipc.Subscriber("imu", node=there) as second:
            pub.wait_for_subscribers(2, timeout=20)
            assert [m.seq for m in drain(second, len(late))] == late


def test_announced_again_under_the_same_id_its_subscribers_go_on_where_they_were(pair) -> None:
    here, there = pair
    with ipc.Subscriber("imu", node=there) as sub:
        with relay(here) as pub:
            there.wait_complete(2)
            pub.relay(b"1", 1, 1)
            assert sub.recv(20).seq == 1
        with relay(here) as pub:
            pub.relay(b"5", 5, 5)
            assert sub.recv(20).seq == 5
        assert sub.stats.lost == {"network": 3}


@pytest.mark.parametrize("id", ["", "xyz", "0" * 16, "f" * 17])
def test_an_id_that_is_none_is_refused(pair, id: str) -> None:
    with pytest.raises(ipc.ArgumentError, match="16 hexadecimal"):
        Relay("imu", "raw", {}, id=id, via={}, node=pair[0])


def test_a_closed_one_says_so(pair) -> None:
    pub = relay(pair[0])
    pub.close()
    with pytest.raises(ipc.ClosedError):
        pub.relay(b"1", 1, 1)


def test_its_topic_is_a_whole_name_whatever_its_node_makes_of_names() -> None:
    with ipc.Node("bridge", interfaces="lo", namespace="robot1", remap="/imu:=/gps") as node, relay(node) as pub:
        assert pub.topic == "imu"
