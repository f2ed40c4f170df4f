"""Events: numbered, bounded, and sentences that say who came and why somebody went."""

from __future__ import annotations

import pytest

import flowing
import ipcpy as ipc
from ipcpy.web.chronicle import KEPT, Chronicle, sentence

CAMERA = flowing.node("camera")
PUB = flowing.endpoint("publisher", "image", CAMERA)
SUB = flowing.endpoint("subscriber", "**", CAMERA)
WHO = "camera (host robot, pid 7)"


@pytest.mark.parametrize(
    ("event", "what", "came", "text"),
    [
        (ipc.NodeFound(CAMERA), "node", True, f"{WHO} came"),
        (ipc.NodeLost(CAMERA, "closed"), "node", False, f"{WHO} went: closed"),
        (ipc.NodeStalled(CAMERA), "node", False, f"{WHO} does not answer any more"),
        (ipc.NodeResumed(CAMERA), "node", True, f"{WHO} answers again"),
        (ipc.PublisherFound(PUB), "publisher", True, f"{WHO} publishes image"),
        (ipc.PublisherLost(PUB, "timed out"), "publisher", False, f"{WHO} no longer publishes image: timed out"),
        (ipc.SubscriberFound(SUB), "subscriber", True, f"{WHO} subscribes to **"),
        (ipc.SubscriberLost(SUB, "closed"), "subscriber", False, f"{WHO} no longer subscribes to **: closed"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_every_event_of_a_node_is_a_sentence(event, what, came, text):
    assert sentence(event) == (what, came, text)


def test_events_are_told_in_order_and_once():
    chronicle = Chronicle(now=lambda: 5.0)
    chronicle.tell(ipc.NodeFound(CAMERA), "lab")
    chronicle.add("record", None, "recording began")
    first, second = chronicle.after(0)
    assert first == {
        "kind": "event",
        "id": 1,
        "time": 5.0,
        "what": "node",
        "came": True,
        "text": f"{WHO} came",
        "domain": "lab",
    }
    assert (second["id"], second["text"]) == (2, "recording began")
    assert chronicle.after(1) == [second]
    assert chronicle.after(2) == chronicle.after(99) == []


def test_only_the_newest_are_kept_and_they_keep_their_numbers():
    chronicle = Chronicle()
    for n in range(KEPT + 50):
        chronicle.add("server", None, str(n))
    events = chronicle.after(0)
    assert [event["id"] for event in events] == list(range(51, KEPT + 51))
    assert [event["text"] for event in chronicle.after(0, 2)] == [str(KEPT + 48), str(KEPT + 49)]
