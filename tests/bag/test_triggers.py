from __future__ import annotations

from collections import Counter
from queue import Queue

import pytest

import ipcpy as ipc
from ipcpy.bag.triggers import Triggers, Wanted
from ipcpy.testing import MemoryNetwork


@pytest.fixture
def network():
    with MemoryNetwork() as network:
        yield network


@pytest.fixture
def triggers(network):
    """Make triggers, and the queue of what they say."""
    made = []

    def make(lost=Counter, **wanted):
        fired: Queue[str] = Queue()
        options = {"death": False, "silence": None, "message": (), "loss": False, **wanted}
        made.append(Triggers(network.node("box"), Wanted(**options), lambda reason, _: fired.put(reason), lost))
        return fired

    yield make
    for each in made:
        each.close()
        each.close()


def publisher(network, topic):
    pub = ipc.Publisher(topic, node=network.node("robot"))
    pub.wait_for_subscribers(timeout=10)
    return pub


def test_a_message_on_a_topic(network, triggers) -> None:
    fired = triggers(message=["alarm/*"])
    publisher(network, "alarm/fire").publish({"any": 1})
    assert fired.get(timeout=10) == "a message on alarm/fire"


def test_a_topic_that_falls_silent_and_not_one_that_never_was(network, triggers) -> None:
    fired = triggers(silence={"imu": 0.05, "never": 0.01})
    pub = publisher(network, "imu")
    pub.publish(1)
    assert fired.get(timeout=10) == "nothing on imu for 0.05 s"
    assert fired.empty()
    pub.publish(2)
    assert fired.get(timeout=10) == "nothing on imu for 0.05 s"


def test_a_node_that_died_and_not_one_that_was_closed(spawn) -> None:
    fired: Queue[str] = Queue()
    wanted = Wanted(death=True, silence=None, message=(), loss=False)
    node = ipc.Node("box")
    triggers = Triggers(node, wanted, lambda reason, _: fired.put(reason), Counter)
    program = """
        import sys, ipcpy as ipc
        node = ipc.Node(sys.argv[1])
        sub = ipc.Subscriber("here", node=node)
        print("ready", flush=True)
        sub.recv()
    """
    here = ipc.Publisher("here", node=node)
    closed, killed = spawn(program, "closed"), spawn(program, "killed")
    here.wait_for_subscribers(2, timeout=10)
    closed.wait_line("ready")
    killed.wait_line("ready")
    killed.kill()
    assert fired.get(timeout=10).startswith("node killed of ")
    here.publish("end")
    closed.wait()
    assert fired.empty()
    triggers.close()
    node.close()


def test_a_loss_with_its_causes(triggers) -> None:
    lost: Counter[str] = Counter(network=3)
    fired = triggers(lambda: Counter(lost), loss=True)
    lost.update(inbox=2, network=1)
    assert fired.get(timeout=10) in (
        "messages were lost: 2 by inbox, 1 by network",
        "messages were lost: 2 by inbox",
        "messages were lost: 1 by network",
    )


@pytest.mark.parametrize(
    ("wanted", "match"),
    [
        ({"death": ""}, "on_death is True, or the name of a node"),
        ({"death": 5}, "on_death is True, or the name of a node"),
        ({"silence": {"imu": 0}}, "on_silence of 'imu' is a number of seconds above 0"),
        ({"silence": {"imu": "x"}}, "on_silence of 'imu'"),
        ({"silence": {"a b": 1}}, "a topic is a name"),
        ({"message": ["a b"]}, "a topic is a name"),
    ],
)
def test_what_cannot_be_wanted(triggers, wanted, match: str) -> None:
    with pytest.raises(ipc.ArgumentError, match=match):
        triggers(**wanted)
