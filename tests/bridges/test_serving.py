"""What a bridge asks twice is done once; garbage is none; all else is in test_services.py."""

from __future__ import annotations

import asyncio

import pytest

import ipcpy as ipc
from ipcpy.asking.envelope import ASK, CALL, LOST, RESULT, seal, unseal
from ipcpy.asking.types import Kind
from ipcpy.bridges.serving import MAX_NUMBERS, Serving, _Numbers
from ipcpy.bridges.standin import joined
from sites import sites, wait_until


def test_a_repeated_call_is_done_once_and_an_unknown_one_is_said_to_be_lost() -> None:
    done, posted = [], []
    with sites() as make:
        site = make("a")
        node = site.node("bridge")
        with ipc.Service("add", lambda request: done.append(request.data), node=site.node("adds")):
            (found,) = wait_until(lambda: ipc.services(0, node))

            async def ask() -> None:
                serving = Serving(found.servers[0], node, lambda to, data: posted.append((to, unseal(data))))
                call = seal(CALL, 1, joined(Kind("msgpack", {}), b"\x07"))
                serving.take("b", call)
                serving.take("b", call)
                async with asyncio.timeout(20):
                    while not posted:
                        await asyncio.sleep(0.01)
                serving.take("b", call)
                serving.take("b", seal(ASK, 2))
                assert (serving.calls, serving.open) == (1, 0)
                for wrong in (b"", seal(RESULT, 3), seal(CALL, 4, b"\xff" * 9)):
                    with pytest.raises(ValueError, match=r"envelope|request|call"):
                        serving.take("b", wrong)
                serving.close()

            asyncio.run(ask())
    assert done == [7]
    assert [(to, letter.kind, letter.number) for to, letter in posted] == [("b", RESULT, 1), ("b", LOST, 2)]


def test_a_false_number_hinders_no_call_and_what_was_there_before_is_no_call_again() -> None:
    numbers = _Numbers()
    lies = iter(range(1 << 63, 1 << 64))
    for n in range(1, 3 * MAX_NUMBERS):
        assert not numbers.take(n)
        numbers.take(next(lies))
        assert numbers.take(n)
