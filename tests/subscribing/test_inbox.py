"""The inbox: the newest are kept, by count and by bytes."""

from __future__ import annotations

from ipcpy.message import Message
from ipcpy.subscribing.inbox import BUDGET, Inbox


def message(seq, publisher="p"):
    return Message(None, "t", seq, 0, 0, publisher)


def test_the_oldest_gives_way_and_is_counted_by_publisher():
    inbox = Inbox(3)
    for seq in range(5):
        inbox.put(message(seq, "ab"[seq % 2]))
    assert [each.seq for each in inbox.messages] == [2, 3, 4]
    assert inbox.dropped == {"a": 1, "b": 1}


def test_large_messages_are_bounded_by_memory():
    inbox = Inbox(1000)
    for seq in range(20):
        inbox.put_large(message(seq), BUDGET // 4)
    assert [each.seq for each in inbox.messages] == [16, 17, 18, 19]
    inbox.put_large(message(20), 2 * BUDGET)
    assert [each.seq for each in inbox.messages] == [20]  # one is always kept
