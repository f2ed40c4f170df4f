"""discovery.channel over real multicast on loopback, in an event loop of the test."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

import mdnsnet
from ipcpy.discovery.advert import SERVICE_TYPE, Advert, instance_name
from ipcpy.discovery.channel import Channel
from ipcpy.discovery.saying import ask_who, service

zeroconf = pytest.importorskip("zeroconf")

LO = ["127.0.0.1"]
NODE = "00000000c4a77e11"
ADVERT = Advert(NODE, "speaker", "host", "test", 4711, "1", ("imu",))
NAME = instance_name("speaker", NODE)
PTR, TXT = 12, 16


class Ear:
    """A channel and the records it heard."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.channel = Channel(self.records.extend)

    def heard(self, name: str) -> bool:
        return any(record.name == name for record in self.records)

    async def wait_for(self, name: str) -> None:
        await until(lambda: self.heard(name))


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition while the event loop runs."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


def run(test: Callable[[Ear], Coroutine[Any, Any, None]], *, addresses: list[str] = LO) -> None:
    """Run a test on a channel that joined, and leave it."""

    async def main() -> None:
        ear = Ear()
        await ear.channel.join(addresses)
        try:
            await test(ear)
        finally:
            await ear.channel.leave(goodbye=False)

    asyncio.run(main())


def answers(packets: list[bytes]) -> list[Any]:
    """Return the records of all responses among packets."""
    messages = [zeroconf.DNSIncoming(data) for data in packets if not mdnsnet.is_query(data)]
    return [record for message in messages for record in message.answers()]


def in_thread(function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
    return asyncio.get_running_loop().run_in_executor(None, function, *arguments)


def test_interfaces_that_fail_do_not_take_others_along() -> None:
    async def main() -> None:
        ear = Ear()
        assert await ear.channel.join(["192.0.2.1", "127.0.0.1"]) == LO
        mdnsnet.send(mdnsnet.packet(mdnsnet.record("tv.local.", mdnsnet.A, bytes(4))))
        await ear.wait_for("tv.local.")
        await ear.channel.leave(goodbye=False)

    asyncio.run(main())


def test_a_service_is_announced_and_its_changes_too() -> None:
    async def test(ear: Ear) -> None:
        with mdnsnet.listening() as other:
            await ear.channel.announce(service(ADVERT, LO))
            first = await in_thread(mdnsnet.heard, other, lambda data: b"t0=imu" in data)
            assert [record.alias for record in answers(first[-1:]) if record.type == PTR] == [NAME]
            await ear.channel.update(service(Advert(NODE, "speaker", "host", "test", 4711, "1", ("map",)), LO))
            changed = await in_thread(mdnsnet.heard, other, lambda data: b"t0=map" in data)
            assert [record.name for record in answers(changed[-1:]) if record.type == TXT] == [NAME]

    run(test)


def test_who_asks_is_answered_unless_known() -> None:
    """Questions from a port of their own are answered there at once and in order (RFC 6762, 6.7)."""

    def question(number: int, known: list[str]) -> bytes:
        (data,) = ask_who(known).packets()
        return number.to_bytes(2, "big") + data[2:]

    def ask() -> set[int]:
        with mdnsnet.speaker() as asker:
            for number, known in ((1, []), (2, [NAME]), (3, [])):
                asker.sendto(question(number, known), mdnsnet.GROUP)
            packets = mdnsnet.heard(asker, lambda data: data[:2] == b"\0\3" and NODE.encode() in data)
            return {int.from_bytes(data[:2], "big") for data in packets if NODE.encode() in data}

    async def test(ear: Ear) -> None:
        await ear.channel.announce(service(ADVERT, LO))
        assert await in_thread(ask) == {1, 3}

    run(test)


def test_each_of_several_services_is_announced_changed_and_withdrawn_by_itself() -> None:
    second = Advert("00000000c4a77e22", "second", "host", "test", 4712, "1", ("map",))
    changed = Advert("00000000c4a77e22", "second", "host", "test", 4712, "1", ("odom",))

    def farewells(other: Any) -> list[str]:
        mdnsnet.send(mdnsnet.packet(mdnsnet.record("end.local.", mdnsnet.A, bytes(4))))
        said = answers(mdnsnet.heard(other, lambda data: b"\x03end" in data))
        return [record.alias for record in said if record.type == PTR and record.ttl == 0]

    async def test(ear: Ear) -> None:
        with mdnsnet.listening() as other:
            await ear.channel.announce(service(ADVERT, LO))
            await ear.channel.announce(service(second, LO))
            await in_thread(mdnsnet.heard, other, lambda data: b"t0=map" in data)
            await ear.channel.update(service(changed, LO))
            await in_thread(mdnsnet.heard, other, lambda data: b"t0=odom" in data)
            await ear.channel.withdraw(second.instance, goodbye=False)
            await ear.channel.withdraw(second.instance, goodbye=True)  # it is no more
            assert await in_thread(farewells, other) == []
            await ear.channel.announce(service(changed, LO))
            await ear.channel.withdraw(second.instance, goodbye=True)
            await asyncio.sleep(0)  # it is said by a task
            said = await in_thread(farewells, other)
            assert said and set(said) == {second.instance}
            await ear.channel.announce(service(changed, LO))  # again, while goodbyes are still being said
            await in_thread(mdnsnet.heard, other, lambda data: b"t0=odom" in data)
        registry = ear.channel._zeroconf.registry  # type: ignore[union-attr]
        assert {info.name for info in registry.async_get_service_infos()} == {NAME, second.instance}

    run(test)


def test_leaving_says_goodbye_to_browsers() -> None:
    async def main() -> None:
        ear = Ear()
        await ear.channel.join(LO)
        await ear.channel.announce(service(ADVERT, LO))
        await ear.wait_for(NAME)
        with mdnsnet.listening() as other:
            await ear.channel.leave(goodbye=True)
            mdnsnet.send(mdnsnet.packet(mdnsnet.record("end.local.", mdnsnet.A, bytes(4))))
            said = answers(mdnsnet.heard(other, lambda data: b"\x03end" in data))
        leaving = [record for record in said if record.name == SERVICE_TYPE and record.alias == NAME]
        assert len(leaving) >= 2, "a second one in case the first is lost"
        assert all(record.ttl == 0 for record in leaving)

    asyncio.run(main())


def test_leaving_without_goodbye_is_silent_and_leaves_no_descriptor() -> None:
    async def main() -> None:
        ear = Ear()
        before = descriptors()
        await ear.channel.join(LO)
        await ear.channel.announce(service(ADVERT, LO))
        await ear.wait_for(NAME)
        with mdnsnet.listening() as other:
            await ear.channel.leave(goodbye=False)
            mdnsnet.send(mdnsnet.packet(mdnsnet.record("end.local.", mdnsnet.A, bytes(4))))
            said = answers(mdnsnet.heard(other, lambda data: b"\x03end" in data))
        assert [record for record in said if record.ttl == 0] == []
        await until(lambda: descriptors() <= before)

    asyncio.run(main())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


def test_before_joining_and_after_leaving_nothing_is_said_and_nothing_fails() -> None:
    async def main() -> None:
        ear = Ear()
        with mdnsnet.listening() as other:
            for _ in range(2):
                await ear.channel.announce(service(ADVERT, LO))
                await ear.channel.update(service(ADVERT, LO))
                ear.channel.send(ask_who([NAME]))
                await ear.channel.leave(goodbye=True)
            mdnsnet.send(mdnsnet.packet(mdnsnet.record("end.local.", mdnsnet.A, bytes(4))))
            packets = mdnsnet.heard(other, lambda data: b"\x03end" in data)
        assert not any(NODE.encode() in data for data in packets)

    asyncio.run(main())


def test_zeroconf_remembers_our_records_and_nobody_elses() -> None:
    """Nor forged pointers of our own kind, whose TTL may be 100 years."""

    async def test(ear: Ear) -> None:
        await ear.channel.announce(service(ADVERT, LO))
        for number in range(500):
            forged = mdnsnet.instance(f"{number:016x}", "127.0.0.1")
            device = mdnsnet.record(f"tv-{number}._tv._tcp.local.", mdnsnet.TXT, b"\xff" + b"z" * 255)
            mdnsnet.send(mdnsnet.packet(device, *forged))
            if number % 20 == 0:
                await ear.wait_for(f"tv-{number}._tv._tcp.local.")  # so that few are lost in a full buffer
        mdnsnet.send(mdnsnet.packet(mdnsnet.record("end.local.", mdnsnet.A, bytes(4))))
        await ear.wait_for("end.local.")
        await ear.wait_for(NAME)
        cache = ear.channel._zeroconf.cache  # type: ignore[union-attr]  # what zeroconf holds shows nowhere else
        assert set(cache.names()) == {SERVICE_TYPE, NAME.lower(), f"ipcpy-{NODE}.local."}
        assert [record.alias for record in cache.async_entries_with_name(SERVICE_TYPE)] == [NAME]

    run(test)


def test_a_new_instance_hears_after_an_old_one_left() -> None:
    async def main() -> None:
        ear = Ear()
        for number in range(3):
            assert await ear.channel.join(LO) == LO
            mdnsnet.send(mdnsnet.packet(mdnsnet.record(f"round-{number}.local.", mdnsnet.A, bytes(4))))
            await ear.wait_for(f"round-{number}.local.")
            await ear.channel.leave(goodbye=False)

    asyncio.run(main())
