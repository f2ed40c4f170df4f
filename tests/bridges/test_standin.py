"""What a CALL between bridges holds; stand-ins at work are in test_services.py."""

from __future__ import annotations

import asyncio

import pytest

from ipcpy.asking.calls import MAX_STEPS, MAX_UNREAD
from ipcpy.asking.envelope import RESULT, STEP, Envelope
from ipcpy.asking.types import Kind
from ipcpy.bridges.standin import _Waiting, joined, kind_and_body


def test_a_request_crosses_with_its_type() -> None:
    kind = Kind("struct", {"messages": [{"id": 1}]})
    assert kind_and_body(joined(kind, b"body")) == (kind, b"body")
    assert kind_and_body(joined(kind, [b"bo", b"dy"])) == (kind, b"body")


@pytest.mark.parametrize("data", [b"", b"\1", b"\xff" * 8, b"\2\0\0\0\x92\1", joined(Kind("", {}), b"")[:5]])
def test_bytes_that_are_no_request_are_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="call"):
        kind_and_body(data)


def waiting(bodies: list[bytes]) -> list[Envelope]:
    """Return what a client gets of so many steps and a result that came while it took none."""

    async def take() -> list[Envelope]:
        letters = _Waiting()
        for n, body in enumerate(bodies, 1):
            letters.put(Envelope(STEP, 0, n, 1, body))
        letters.put(Envelope(RESULT, 0, 0, 1, b"end"))
        letters.put(Envelope(STEP, 0, 9, 1, b"after the end"))
        found = [await letters.get()]
        while found[-1].kind != RESULT:
            found.append(await letters.get())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await letters.get()
        return found

    return asyncio.run(take())


def test_steps_that_a_client_does_not_take_are_bounded_the_newest_wait_and_the_end_always_does() -> None:
    assert [each.step for each in waiting([b"x"] * 3)] == [1, 2, 3, 0]
    assert [each.step for each in waiting([b"x"] * (MAX_STEPS + 5))] == [*range(6, MAX_STEPS + 6), 0]
    large = bytes(MAX_UNREAD // 4)
    assert [each.step for each in waiting([large] * 10)] == [8, 9, 10, 0]
