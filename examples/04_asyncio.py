"""Coroutines: the same Subscriber, awaited. Here one coroutine answers what another one asks.

python 04_asyncio.py [COUNT]
"""

import asyncio
import sys
from contextlib import suppress

import ipcpy as ipc

count = int(sys.argv[1]) if len(sys.argv) > 1 else 100


async def square() -> None:
    """Answer questions, until it is cancelled."""
    with ipc.Subscriber("question") as questions, ipc.Publisher("answer") as answers:
        async for message in questions:
            answers.publish(message.data**2)


async def main() -> None:
    server = asyncio.create_task(square())
    with ipc.Publisher("question") as questions, ipc.Subscriber("answer") as answers:
        await questions.wait_for_subscribers_async(timeout=5)
        await answers.wait_for_publishers_async(timeout=5)
        for number in range(count):
            questions.publish(number)
            answer = await answers.recv_async(timeout=5)
            print(f"{number}² = {answer.data}")
    server.cancel()


with suppress(KeyboardInterrupt):
    asyncio.run(main())
