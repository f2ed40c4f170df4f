"""Large messages between processes of one host go through shared memory, whatever is sent and whoever takes it."""

from __future__ import annotations

import sys

import pytest

from lan_process import wait_until
from large import OFF, PUBLISHER, SUBSCRIBER, Large, holdings, warm

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="shared memory is for Linux only"),
    pytest.mark.timeout(120),
]
COUNT = 60
MOST = 15  # of these may go by UDP, because the memory was in use: more of it is made meanwhile
KINDS = ["bytes", "array", "dict", "struct"]


def run(spawn, publisher_env=None, subscriber_env=None, *, subscribers=None, **job):
    """Publish COUNT messages to subscribers; return their books and the publisher's."""
    kind = job.get("kind", "bytes")
    listening = [Large(spawn, SUBSCRIBER, subscriber_env, **{"kind": kind, **each}) for each in subscribers or [{}]]
    publisher = Large(spawn, PUBLISHER, publisher_env, wait=len(listening), **job)
    publisher.process.wait_line("matched", 30)
    first = 0 if OFF in (publisher_env, subscriber_env) or job["size"] < 32_768 else warm(publisher, *listening)
    by_udp = [first - each.stats()["shared"] for each in listening]
    for published in range(first + 4, first + COUNT + 1, 4):  # nobody lags: no more than four lie there unread
        publisher.ask("publish", 4, answer="published")
        books = [each.right(published) for each in listening]
    told = publisher.stats()
    for each in (*listening, publisher):
        each.finish()
    for each, mine, others in zip(listening, books, by_udp, strict=True):
        assert mine["received"] == published and mine["lost"] == {} and mine["duplicates"] == 0
        assert told["shared"][each.ids[0]] == mine["shared"]
        assert set(mine["dropped"]) <= {"source"}  # sent to the group, before this one was asked whether it hears it
        assert mine["handovers"] == told["handovers"] == {}
        assert mine["order"] or not job.get("options")  # best effort may be overtaken
        assert published - mine["shared"] - others <= (MOST if first else COUNT), told
    return books, told


@pytest.mark.parametrize("how", ["sync", "callback", "asyncio"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_message_reaches_every_kind_of_subscriber_through_memory(spawn, kind, how):
    run(spawn, kind=kind, size=200_000, subscribers=[{"how": how, "hold": 3}])


@pytest.mark.parametrize("options", [{}, {"reliable": True}, {"keep": 2}, {"reliable": True, "keep": 2}], ids=str)
def test_every_kind_of_topic_reaches_names_and_patterns_through_memory(spawn, options):
    subscribers = [{"topic": "large"}, {"topic": "*", "hold": 5}, {"topic": "**", "kind": "any", "how": "callback"}]
    run(spawn, size=1_000_000, options=options, subscribers=subscribers)


@pytest.mark.parametrize("size", [32_768, 6_220_800, 12_000_000])
@pytest.mark.parametrize("kind", ["bytes", "array"])
def test_a_loan_is_published_without_a_copy_and_arrives(spawn, kind, size):
    run(spawn, kind=kind, size=size, loan=True)


@pytest.mark.parametrize("loan", [False, True])
@pytest.mark.parametrize("off", ["publisher", "subscriber", "both"])
def test_without_shared_memory_on_either_side_the_same_arrives_by_udp(spawn, off, loan):
    envs = (OFF if off != "subscriber" else None, OFF if off != "publisher" else None)
    (books,), told = run(spawn, *envs, kind="array", size=1_000_000, loan=loan)
    assert books["shared"] == 0 and list(told["shared"].values()) == [0]


def test_a_message_that_is_not_large_goes_by_udp(spawn):
    (books,), _ = run(spawn, kind="bytes", size=32_767)
    assert books["shared"] == 0


def test_without_it_no_process_has_any_memory_to_share(spawn):
    subscriber = Large(spawn, SUBSCRIBER, OFF)
    publisher = Large(spawn, PUBLISHER, OFF, size=1_000_000)
    publisher.ask("publish", 5, answer="published")
    subscriber.right(5)
    assert [holdings(each.pid).mappings for each in (publisher, subscriber)] == [0, 0]


def test_whoever_is_far_gets_it_by_udp_and_who_is_near_by_memory(lan):
    hosts = lan(2)
    far, near = Large(lambda *a, **k: hosts.spawn(2, *a, **k), SUBSCRIBER), None
    near = Large(lambda *a, **k: hosts.spawn(1, *a, **k), SUBSCRIBER)
    publisher = Large(lambda *a, **k: hosts.spawn(1, *a, **k), PUBLISHER, size=300_000, wait=2)
    publisher.process.wait_line("matched", 30)
    first = warm(publisher, near)
    for published in range(first + 2, first + 21, 2):
        publisher.ask("publish", 2, answer="published")
        books = [each.right(published) for each in (far, near)]
    assert [each["lost"] for each in books] == [{}, {}]
    assert books[0]["shared"] == 0 and books[1]["shared"] > 20


def test_who_comes_late_gets_the_last_of_a_latched_topic_through_memory_and_then_the_live_ones(spawn):
    publisher = Large(spawn, PUBLISHER, size=500_000, options={"keep": 3}, count=10, wait=0)
    for begun in (10, 14, 18):  # numbers that were published before
        late = Large(spawn, SUBSCRIBER, hold=None)
        wait_until(lambda late=late: late.stats()["taken"] == 3)
        publisher.ask("publish", 4, answer="published")
        books = late.right(7)
        assert books["received"] == 7
        assert publisher.stats()["published"] == begun + 4
        late.finish()
    late = Large(spawn, SUBSCRIBER, hold=None)
    wait_until(lambda: late.stats()["taken"] == 3)
    before = late.stats()["shared"]
    publisher.ask("publish", 4, answer="published")
    assert late.right(7)["shared"] == before + 4


def test_a_loan_that_is_dropped_is_free_again(spawn):
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": "48"}, size=3_000_000, loan=True)
    subscriber = Large(spawn, SUBSCRIBER)
    publisher.process.wait_line("matched", 30)
    first = warm(publisher, subscriber)
    before = subscriber.stats()["shared"]
    for round in range(1, 6):  # 30 loans of 3 MB, of 48 MiB
        for _ in range(6):
            publisher.ask("lend")
        publisher.ask("drop")
        publisher.ask("publish", 2, answer="published")
        books = subscriber.right(first + 2 * round)
    assert books["shared"] == before + 10
    assert holdings(publisher.pid).memory <= 48 << 20


def test_more_is_lent_than_there_is_memory_to_share(spawn):
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": "24"}, size=3_000_000, loan=True)
    subscriber = Large(spawn, SUBSCRIBER)
    publisher.process.wait_line("matched", 30)
    first = warm(publisher, subscriber)
    before = subscriber.stats()["shared"]
    for _ in range(10):
        publisher.ask("lend")
    publisher.ask("publish", 4, answer="published")  # loans as well, of ordinary memory
    assert subscriber.right(first + 4)["shared"] < before + 4
    publisher.ask("drop")
    for published in range(first + 5, first + 8):
        publisher.ask("publish", 1, answer="published")
        books = subscriber.right(published)
    assert books["shared"] == before + 3
    assert holdings(publisher.pid).memory <= 24 << 20


LOANS = """
import gc, json, sys
import numpy
import ipcpy as ipc

publisher, other = ipc.Publisher("t"), ipc.Publisher("u")
raw = ipc.Publisher("r", ipc.Raw())
subscriber, latched = ipc.Subscriber("t"), None
publisher.wait_for_subscribers(1, 20)


def sent(data, by=publisher):
    by.publish(data)
    return subscriber.recv(20).data


def refused(action):
    try:
        action()
    except ValueError:
        return True
    return False


array = publisher.loan((100, 1_000), "float64")
assert array.shape == (100, 1_000) and array.dtype == numpy.float64 and array.flags.writeable
array[:] = numpy.arange(100_000.0).reshape(100, 1_000)
got = sent(array)
assert (got == numpy.arange(100_000.0).reshape(100, 1_000)).all() and got.dtype == numpy.float64
assert not got.flags.writeable and refused(lambda: got.fill(0))
if len(sys.argv) > 1:
    assert not array.flags.writeable and refused(lambda: array.fill(0))
assert (array == got).all()
again = sent(array)  # what was published may be published once more
assert (again == got).all()

array = publisher.loan((100, 1_000), "float64")
array[:] = 7
for part in (array[10:20], array.T, array[:, ::2], array.reshape(-1)[:50_000], {"a": array, "b": [array[0]]}):
    got = sent(part)  # parts of a loan are arrays like others
    if isinstance(part, dict):
        assert (got["a"] == 7).all() and (got["b"][0] == 7).all()
    else:
        assert got.shape == part.shape and (got == part).all()
kept = sent(array)
del array, part
gc.collect()
for number in range(300):  # what it got is its own, whatever is lent and published later
    more = publisher.loan((100, 1_000), "float64")
    more.fill(number)
    assert (sent(more) == number).all()
assert (kept == 7).all()

array = other.loan((100, 1_000), "float64")  # lent by one, published by another
array.fill(8)
assert (sent(array) == 8).all()
memory = raw.loan(100_000)
assert memoryview(memory).nbytes == 100_000 and not memoryview(memory).readonly
memory[:5] = b"hello"
assert raw.publish(memory) == 0  # to nobody
for shape, dtype in (((0,), "uint8"), ((), "float64"), ((3,), "uint8"), (5, "int16")):
    small = publisher.loan(shape, dtype)
    small.fill(3)
    got = sent(small)
    assert got.shape == small.shape and got.dtype == small.dtype and (got == 3).all()
for wrong in (-1, (-1, 3), (1 << 50,), (1 << 62, 1 << 62), 2.5, "12"):
    assert refused(lambda: publisher.loan(wrong, "uint8")), wrong
assert refused(lambda: publisher.loan((10,), "O")), "arrays of Python objects"
publisher.close()
try:
    publisher.loan(100_000)
except ipc.ClosedError:
    print("done", flush=True)
"""


@pytest.mark.parametrize("env", [None, OFF], ids=["shared memory", "udp"])
def test_loans_are_arrays_like_others_until_they_are_published(spawn, env):
    program = spawn(LOANS, *([] if env else ["shared"]), env=env)
    assert program.succeed(60) == "done\n"
    assert program.stderr == ""
