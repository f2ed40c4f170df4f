"""A subscriber in C, written from docs/protocol.md alone, takes messages from the memory of a publisher in Python."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ipcpy as ipc
import tools
from attacking import without_key
from handing import mapped
from ipcpy.protocol.link.greeting import domain_number

SOURCE = Path(__file__).with_name("peer.c")
COUNT = 300

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux" or sys.byteorder == "big", reason="the peer is for such a Linux"),
    without_key,
]


@pytest.fixture
def peer(tmp_path):
    """Return the words before the peer's last argument, the number of messages."""
    tools.need("cc")
    program = tmp_path / "peer"
    subprocess.run([tools.find("cc"), "-std=c11", "-O2", "-Wall", "-Wextra", "-o", program, SOURCE], check=True)
    domain = os.environ["IPCPY_DOMAIN"]
    return [str(program), domain, f"{domain_number(domain):016x}", "camera"]


def filled(pub: ipc.Publisher, number: int, size: int):
    """Return a message, every second one in memory that the publisher lends."""
    value = bytes([number % 256]) * size
    if number % 2:
        return value
    lent = pub.loan(size)
    lent[:] = value
    return lent


def test_a_peer_in_c_takes_every_byte_as_it_was_published(spawn, peer, monkeypatch):
    monkeypatch.setattr("ipcpy.publishing.segments.PAUSE", 0.05)
    dice = random.Random(12)
    with ipc.Publisher("camera", ipc.Raw()) as pub:
        process = spawn([*peer, str(COUNT)])
        pub.wait_for_subscribers(timeout=20)
        number, end = 0, time.monotonic() + 40
        held = []
        while mapped("ipcpy-segment") < 3:  # a peer that is quick enough needs no more than one
            held.append(pub.loan(1 << 20))
        for most, pause, done in (
            (1 << 20, 0.001, lambda: pub.stats.published >= 30),
            (64 << 10, 0.02, lambda: mapped("ipcpy-segment") == 1),  # what the peer keeps fits the first segment
            (64 << 10, 0.001, lambda: not process.running),
        ):
            while process.running and not done() and time.monotonic() < end:
                number += 1
                pub.publish(filled(pub, number, dice.randrange(32 << 10, most)))
                time.sleep(pause)
            held.clear()
        printed = process.succeed()
        assert pub.stats.shared >= COUNT
    assert re.fullmatch(rf"taken {COUNT} from [3-9] segments, now 1, wrong 0, gone 0, copies 0, lies 0\n", printed)
