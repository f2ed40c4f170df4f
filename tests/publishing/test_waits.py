"""What a publisher's user waits for: subscribers, and room; in coroutines others run meanwhile."""

from __future__ import annotations

import asyncio
import threading

import pytest

import ipcpy as ipc


@pytest.fixture
def node():
    with ipc.Node("test") as node:
        yield node


def test_a_coroutine_publishes_small_and_large_messages_in_order_and_they_arrive(node):
    async def main():
        pub, sub = ipc.Publisher("t", node=node), ipc.Subscriber("t", node=node)
        assert await pub.wait_for_subscribers_async(timeout=20) == 1
        sent = [b"small", bytes(300_000), b"last"]
        assert [await pub.publish_async(data) for data in sent] == [1, 1, 1]
        assert [(await sub.recv_async(timeout=20)).data for _ in sent] == sent
        assert await pub.publish_many_async(range(3)) == 1
        assert [(await sub.recv_async(timeout=20)).data for _ in range(3)] == [0, 1, 2]
        pub.close()
        with pytest.raises(ipc.ClosedError):
            await pub.publish_async(1)

    asyncio.run(main())


def test_publishing_to_nobody_in_a_coroutine_says_so_and_what_cannot_be_encoded_is_refused(node):
    async def main():
        for options in ({}, {"reliable": True}):
            pub = ipc.Publisher("t", node=node, **options)
            assert await pub.publish_async(1) == 0
            with pytest.raises(ipc.CodecError):
                await pub.publish_async(object())

    asyncio.run(main())


@pytest.mark.parametrize("options", [{"reliable": True}, {}])
def test_while_publishing_waits_other_coroutines_run(node, monkeypatch, options):
    async def main():
        pub, sub = ipc.Publisher("t", node=node, **options), ipc.Subscriber("t", node=node)
        await pub.wait_for_subscribers_async(timeout=20)
        others_ran = threading.Event()
        dispatch = pub._dispatch  # what publishes all but small messages
        one = dispatch.one
        monkeypatch.setattr(dispatch, "one", lambda body: one(body) if others_ran.wait(30) else 0)
        publishing = asyncio.create_task(pub.publish_async(bytes(300_000)))
        await asyncio.sleep(0)
        others_ran.set()
        assert await publishing == 1
        assert len((await sub.recv_async(timeout=20)).data) == 300_000

    asyncio.run(main())


@pytest.mark.parametrize("count", [-1, 1.5, True, None])
def test_a_count_that_is_none_is_refused_in_threads_and_coroutines(node, count):
    pub = ipc.Publisher("t", node=node)
    with pytest.raises(ipc.ArgumentError, match="count is how many"):
        pub.wait_for_subscribers(count)
    with pytest.raises(ipc.ArgumentError, match="count is how many"):
        asyncio.run(pub.wait_for_subscribers_async(count))
