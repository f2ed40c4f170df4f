from __future__ import annotations

import threading
import weakref

import pytest

import ipcpy as ipc
from ipcpy.bag.catalog import Catalog
from ipcpy.bag.chunk import Chunk, ChunkBuilder, Sealed
from ipcpy.bag.form import Origin
from ipcpy.bag.press import Press
from ipcpy.views import View
from ipcpy.views.schema import no_schema

pytest.importorskip("zstandard", reason="needs ipcpy[bag]")


def chunk(size: int = 100, number: int = 1, body: memoryview | None = None) -> Chunk:
    catalog = Catalog()
    channel = catalog.channel(Origin("raw", "00" * 8, "raw"), View("", no_schema("raw"), ()))
    builder = ChunkBuilder(catalog)
    for n in range(number):
        builder.add(channel, n, 5, 4, (bytes(size) if body is None else body,))
    return builder.close()


class Kept:
    """A sink that keeps what it is given, and waits or fails where it is told to."""

    def __init__(self) -> None:
        self.chunks: list[Sealed] = []
        self.ticks = 0
        self.syncs = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()
        self.error: Exception | None = None

    def add(self, chunk: Sealed) -> None:
        assert self.go.wait(20)
        if self.error is not None:
            raise self.error
        self.chunks.append(chunk)

    def tick(self) -> None:
        self.ticks += 1

    def sync(self) -> None:
        self.syncs.release()


def test_chunks_come_out_sealed_in_their_order() -> None:
    kept = Kept()
    press = Press(kept, "zstd")
    for number in range(1, 6):
        press.put(chunk(number=number))
    press.close()
    press.close()
    assert [sum(each.counts.values()) for each in kept.chunks] == [1, 2, 3, 4, 5]
    assert {each.compression for each in kept.chunks} == {"zstd"}
    assert press.pending == 0


def test_what_is_called_comes_behind_what_was_put_before() -> None:
    kept = Kept()
    press = Press(kept, "none")
    seen: list[int] = []
    press.put(chunk())
    press.call(lambda: seen.append(len(kept.chunks)))
    press.put(chunk())
    press.call(lambda: seen.append(len(kept.chunks)))
    press.close()
    assert seen == [1, 2]


def test_who_puts_waits_while_too_much_is_queued() -> None:
    kept = Kept()
    kept.go.clear()
    press = Press(kept, "none", limit=1000)
    press.put(chunk(600))
    done = threading.Event()
    thread = threading.Thread(target=lambda: (press.put(chunk(600)), done.set()))
    thread.start()
    assert not done.wait(0.1)
    kept.go.set()
    assert done.wait(30)
    thread.join()
    press.close()
    assert len(kept.chunks) == 2


def test_one_that_is_larger_than_the_queue_passes() -> None:
    kept = Kept()
    press = Press(kept, "none", limit=1000)
    press.put(chunk(5000))
    press.put(chunk(5000))
    press.close()
    assert len(kept.chunks) == 2


def test_while_much_is_queued_nothing_is_compressed() -> None:
    kept = Kept()
    kept.go.clear()
    press = Press(kept, "zstd", limit=10_000)
    for _ in range(9):
        press.put(chunk(900))
    kept.go.set()
    press.close()
    assert kept.chunks[1].compression == ""
    assert kept.chunks[-1].compression == "zstd"


@pytest.mark.parametrize("error", [ipc.TransportError("the disk is full"), RuntimeError("a defect")])
def test_after_a_failure_everything_is_counted_and_nobody_waits(error: Exception) -> None:
    kept = Kept()
    kept.error = error
    told: list[ipc.IpcError] = []
    press = Press(kept, "none", limit=1000, on_failure=told.append)
    press.put(chunk(900, number=1))
    for _ in range(20):
        press.put(chunk(100, number=5))
    press.close()
    assert len(told) == 1 and press.failure is told[0]
    assert str(error) in str(press.failure)
    assert press.dropped == 1 + 20 * 5


class Refusing:
    """A sink whose disk is full: the system said so."""

    def add(self, chunk: Sealed) -> None:
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise ipc.TransportError("the disk is full") from error

    def tick(self) -> None:
        pass

    def sync(self) -> None:
        pass


class Writing(Refusing):
    """A sink whose disk is not."""

    def add(self, chunk: Sealed) -> None:
        pass


@pytest.mark.parametrize("sink", [Writing(), Refusing()])
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_the_memory_of_what_was_written_or_refused_is_let_go_of_though_nothing_more_comes(
    sink: Refusing, compression: str, wait_until
) -> None:
    press = Press(sink, compression, every=1000)
    body = memoryview(bytes(100_000))
    held = weakref.ref(body)
    press.put(chunk(body=body))
    del body
    wait_until(lambda: held() is None)
    assert (str(press.failure), press.dropped) == (("None", 0) if type(sink) is Writing else ("the disk is full", 1))
    press.close()


def test_it_ticks_and_syncs_by_itself() -> None:
    kept = Kept()
    press = Press(kept, "none", every=0.01)
    press.put(chunk())
    assert kept.syncs.acquire(timeout=20)
    press.call(lambda: None)
    press.close()
    assert kept.ticks > 0


def test_a_sync_that_fails_is_a_failure() -> None:
    class Pulled(Kept):
        def sync(self) -> None:
            raise ipc.TransportError("the stick is gone")

    told = threading.Event()
    press = Press(Pulled(), "none", on_failure=lambda _: told.set())
    press.put(chunk())
    assert told.wait(30)
    press.close()
    assert "stick" in str(press.failure)


def test_it_may_be_closed_in_its_own_thread() -> None:
    press = Press(Kept(), "none")
    done = threading.Event()
    press.call(lambda: (press.close(), done.set()))
    assert done.wait(30)
