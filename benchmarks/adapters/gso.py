"""The floor across a network: a large message in fragments that fit Ethernet, 44 of them in a system call (UDP GSO).

The receiver lets merged datagrams (UDP GRO) land at their places. It asks nobody to wait and nothing to be sent again.
"""

from __future__ import annotations

import itertools
import socket
from struct import Struct

from .contract import LARGE, STAMP, Loop, Send, Take
from .raw import PART, Raw, connected, receiving

UDP, SEGMENT_OPTION, GRO_OPTION = 17, 103, 104  # linux/udp.h
SEGMENT = 1472  # bytes: 1,500 - 20 (IPv4) - 8 (UDP)
DATA = SEGMENT - PART.size
COUNT = -(-LARGE // DATA)
BATCH = 44  # segments in a call: 44 x 1,472 is below 65,536
ANCILLARY = [(UDP, SEGMENT_OPTION, Struct("H").pack(SEGMENT))]


class RawGso(Raw):
    """1 MB in 684 fragments, 16 calls."""

    def sender(self, topic: str) -> Send:
        sock = connected(self.setting.address, self.setting.port_of(topic))
        self.keep.append(sock)
        data = bytearray(b"\x5a" * LARGE)
        view = memoryview(data)
        pieces = [view[at : at + DATA] for at in range(0, LARGE, DATA)]
        numbers = itertools.count(1)
        pack, sendmsg, put = PART.pack, sock.sendmsg, STAMP.pack_into

        def publish(stamp: int) -> None:
            put(data, 0, stamp)
            number = next(numbers)
            try:
                for first in range(0, COUNT, BATCH):
                    buffers: list[bytes | memoryview] = []
                    for index in range(first, min(first + BATCH, COUNT)):
                        buffers += [pack(number, index, COUNT), pieces[index]]
                    sendmsg(buffers, ANCILLARY)
            except ConnectionRefusedError:
                pass

        return publish

    def receiver(self, topic: str, index: int) -> Loop:
        sock = receiving(self.setting.address, self.setting.port_of(topic))
        sock.setsockopt(UDP, GRO_OPTION, 1)
        self.keep.append(sock)
        return lambda take: _receive(sock, take)


def _receive(sock: socket.socket, take: Take) -> None:
    """Receive batch by batch; a message of which a batch is missing, or was split, is forgotten."""
    message, places = bytearray(COUNT * DATA), bytearray(COUNT * PART.size)
    batches = []
    for first in range(0, COUNT, BATCH):
        buffers: list[memoryview] = []
        for index in range(first, min(first + BATCH, COUNT)):
            buffers.append(memoryview(places)[index * PART.size : (index + 1) * PART.size])
            buffers.append(memoryview(message)[index * DATA : (index + 1) * DATA])
        batches.append(buffers)
    receive, unpack, size = sock.recvmsg_into, PART.unpack_from, PART.size
    batch, current = 0, 0
    while True:
        got = receive(batches[batch])[0]
        first = batch * BATCH
        stop = first + -(-got // SEGMENT)
        number = unpack(places, first * size)[0]
        whole = stop == min(first + BATCH, COUNT) and (batch == 0 or number == current)
        if not whole or any(unpack(places, at * size)[:2] != (number, at) for at in range(first, stop)):
            batch = 0
            continue
        current = number
        batch += 1
        if batch == len(batches):
            batch = 0
            if take(STAMP.unpack_from(message)[0]):
                return
