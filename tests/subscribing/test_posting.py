"""A message that nobody published: it wakes who waits, behind what was received already."""

from __future__ import annotations

import threading

import ipcpy as ipc
from ipcpy.subscribing.posting import post


def test_who_waits_is_woken_by_it():
    with ipc.Subscriber("posting") as sub:
        threading.Timer(0.05, post, [sub, "word"]).start()
        message = sub.recv(timeout=10)
    assert (message.data, message.topic, message.seq, message.publisher) == ("word", "posting", 0, "")


def test_one_that_is_closed_gets_nothing():
    sub = ipc.Subscriber("posting")
    sub.close()
    post(sub, "word")
