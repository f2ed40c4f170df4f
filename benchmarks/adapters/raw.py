"""The floor: plain Python sockets doing the same work. Connected UDP, a blocking receiver, ``struct``, nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from struct import Struct
from typing import Any

from .contract import SAMPLE, STAMP, VALUES, Adapter, Loop, Send, Take, stamped

BUFFER = 4 << 20  # as ipcpy asks for; the system gives what it allows
CHUNK = 60_000  # bytes of data in a datagram; loopback's MTU is 65,536
PART = Struct("<IHH")  # message, index, count


def receiving(address: str, port: int, buffer: int = BUFFER) -> socket.socket:
    """Open a socket for receiving."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.bind((address, port))
    return sock


def connected(address: str, port: int) -> socket.socket:
    """Open a socket for sending."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((address, port))
    return sock


class Raw(Adapter):
    """One ``send`` a message and subscriber, ``recv_into`` a buffer that is there already."""

    def sender(self, topic: str) -> Send:
        setting = self.setting
        ports = [setting.port_of(topic, index) for index in range(setting.subscribers)]
        socks = [connected(setting.address if topic == "a" else setting.publisher_address, port) for port in ports]
        self.keep += socks
        if setting.large:
            return stamped(setting.size, to_each([parts_sender(setting.size, sock.sendmsg) for sock in socks]))
        if len(socks) == 1:
            return _small_sender(socks[0].send)
        sends = [sock.send for sock in socks]
        pack = SAMPLE.pack

        def publish(stamp: int) -> None:
            data = pack(stamp, *VALUES)
            for send in sends:
                try:
                    send(data)
                except ConnectionRefusedError:
                    pass

        return publish

    def receiver(self, topic: str, index: int) -> Loop:
        setting = self.setting
        sock = receiving(setting.address if topic == "a" else setting.publisher_address, setting.port_of(topic, index))
        self.keep.append(sock)
        return _large_loop(setting.size, sock) if setting.large else _small_loop(sock)


def _small_sender(send: Callable[[bytes], int]) -> Send:
    pack = SAMPLE.pack

    def publish(stamp: int) -> None:
        try:
            send(pack(stamp, *VALUES))
        except ConnectionRefusedError:  # nobody listens yet
            pass

    return publish


def _small_loop(sock: socket.socket) -> Loop:
    def loop(take: Take) -> None:
        buffer = bytearray(2048)
        receive, unpack = sock.recv_into, SAMPLE.unpack_from
        while True:
            receive(buffer)
            if take(unpack(buffer)[0]):
                return

    return loop


def to_each(sends: list[Callable[[bytearray], None]]) -> Callable[[bytearray], None]:
    """Return a function that calls each of several."""
    if len(sends) == 1:
        return sends[0]

    def send(data: bytearray) -> None:
        for each in sends:
            each(data)

    return send


def parts_sender(size: int, sendmsg: Callable[[Any], int]) -> Callable[[bytearray], None]:
    """Return a function that sends a large message as datagrams of CHUNK bytes, each with its place."""
    number = 0
    count = -(-size // CHUNK)
    pack = PART.pack

    def send(data: bytearray) -> None:
        nonlocal number
        number += 1
        view = memoryview(data)
        try:
            for index in range(count):
                sendmsg((pack(number, index, count), view[index * CHUNK : (index + 1) * CHUNK]))
        except ConnectionRefusedError:
            pass

    return send


def _large_loop(length: int, sock: socket.socket) -> Loop:
    """Return a loop that lets each datagram land at its place; a message with a hole is forgotten."""

    def loop(take: Take) -> None:
        buffer, place = bytearray(length + CHUNK), bytearray(PART.size)
        view = memoryview(buffer)
        receive, unpack, stamp_of = sock.recvmsg_into, PART.unpack, STAMP.unpack_from
        wanted, current = 0, 0
        while True:
            size = receive((place, view[wanted * CHUNK : (wanted + 1) * CHUNK]))[0] - PART.size
            number, index, count = unpack(place)
            if index == 0 and wanted:  # the end of the one before was lost
                view[:size] = bytes(view[wanted * CHUNK : wanted * CHUNK + size])
                wanted = 0
            if index == wanted and (index == 0 or number == current):
                current = number
                wanted += 1
                if wanted == count:
                    wanted = 0
                    if take(stamp_of(buffer)[0]):
                        return
            else:
                wanted = 0

    return loop


class RawAsyncio(Raw):
    """The same with ``loop.sock_recv`` on the receiving side."""

    def receiver(self, topic: str, index: int) -> Loop:
        sock = receiving(self.setting.address, self.setting.port_of(topic, index))
        sock.setblocking(False)
        self.keep.append(sock)

        async def run(take: Take) -> None:
            receive, unpack = asyncio.get_running_loop().sock_recv, SAMPLE.unpack_from
            while True:
                if take(unpack(await receive(sock, 2048))[0]):
                    return

        return lambda take: asyncio.run(run(take))
