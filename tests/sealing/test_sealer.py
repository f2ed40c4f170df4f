"""sealing.sealer: what is sealed, and that no number is used twice."""

from __future__ import annotations

import errno
import threading
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipcpy import fast
from ipcpy.protocol.wire import MAX_UDP_PAYLOAD
from ipcpy.sealing.datagram import COUNT_BITS, HEAD, HEAD_SIZE, LAST_COUNT, NONCE, OVERHEAD, mark
from ipcpy.sealing.keys import ALGORITHMS
from ipcpy.sealing.seal import Seal
from ipcpy.sealing.sealer import Sealer
from sealing import keyring, two_lives


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_key_of_the_session_opens_it(algorithm):
    seal = Seal(keyring(algorithm=algorithm))
    sealed = seal.sealer(7_000).seal(b"one", b"", memoryview(b"two"), bytearray(b"three"))
    length, marked, number, name, age = HEAD.unpack_from(sealed)
    assert (length, marked, number, age) == (len(sealed), mark(7_000), 1, 0)
    assert len(sealed) == len(b"onetwothree") + OVERHEAD and name == seal.keyring.first.id + seal.session
    cipher = seal.keyring.first.session_cipher(seal.session)
    assert cipher.decrypt(sealed[NONCE], sealed[HEAD_SIZE:], sealed[:HEAD_SIZE]) == b"onetwothree"


def test_the_same_is_never_sealed_twice_to_the_same_bytes():
    sealer = Seal(keyring()).sealer()
    assert len({sealer.seal(b"same")[HEAD_SIZE:] for _ in range(100)}) == 100


def test_a_run_is_sealed_one_by_one():
    seal = Seal(keyring())
    sealed = seal.sealer(9).seal_run([(b"a", b"b"), (b"c",), ()])
    cipher = seal.keyring.first.session_cipher(seal.session)
    opened = [cipher.decrypt(each[NONCE], each[HEAD_SIZE:], each[:HEAD_SIZE]) for each in sealed]
    assert opened == [b"ab", b"c", b""]


def test_another_port_can_be_named_for_one_datagram():
    sealer = Seal(keyring()).sealer()
    assert sealer.seal_to(b"", 4_711)[2:8] == mark(4_711) and sealer.seal(b"")[2:8] == mark(0)


def test_what_no_datagram_can_hold_is_refused_as_the_system_does():
    sealer = Seal(keyring()).sealer()
    assert len(sealer.seal(bytes(MAX_UDP_PAYLOAD - OVERHEAD))) == MAX_UDP_PAYLOAD
    with pytest.raises(OSError) as caught:
        sealer.seal(bytes(70_000))
    assert caught.value.errno == errno.EMSGSIZE


def test_at_the_end_of_a_stream_another_one_begins_and_nothing_is_used_twice():
    seal = Seal(keyring())
    sealer, other = seal.sealer(), seal.sealer()
    sealer._stream.numbers = count(LAST_COUNT - 2)
    one_by_one = [HEAD.unpack_from(sealer.seal(b""))[2] for _ in range(6)]
    assert one_by_one == [LAST_COUNT - 2, LAST_COUNT - 1, LAST_COUNT, *(2 << COUNT_BITS | n for n in (1, 2, 3))]
    assert HEAD.unpack_from(other.seal(b""))[2] == 1 << COUNT_BITS | 1
    sealer.close()
    assert HEAD.unpack_from(seal.sealer().seal(b""))[2] == 2 << COUNT_BITS | 4


def test_a_run_does_not_go_over_the_end_of_a_stream_but_begins_anew_in_the_next_one():
    seal = Seal(keyring())
    sealer = seal.sealer()
    sealer._stream.numbers = count(LAST_COUNT - 2)
    runs = [[HEAD.unpack_from(each)[2] for each in sealer.seal_run([(b"",)] * 2)] for _ in range(3)]
    assert runs == [[LAST_COUNT - 2, LAST_COUNT - 1], *([1 << COUNT_BITS | n, 1 << COUNT_BITS | n + 1] for n in (1, 3))]


def test_threads_at_the_end_of_a_stream_use_no_number_twice():
    seal = Seal(keyring())
    sealer = seal.sealer()
    seal.sealer()
    sealer._stream.numbers = count(LAST_COUNT - 500)
    each: list[list[int]] = [[] for _ in range(4)]

    def send(into: list[int]) -> None:
        into += [HEAD.unpack_from(sealer.seal(b""))[2] for _ in range(500)]

    threads = [threading.Thread(target=send, args=(into,)) for into in each]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = sorted(sum(each, []))
    assert len(set(numbers)) == 2_000
    assert numbers[:501] == list(range(LAST_COUNT - 500, LAST_COUNT + 1))
    assert all(number >> COUNT_BITS == 2 for number in numbers[501:])


def test_what_is_closed_seals_nothing_and_its_stream_goes_on_elsewhere():
    seal = Seal(keyring())
    sealer = seal.sealer()
    sealer.seal(b"")
    sealer.close()
    sealer.close()
    for use in (lambda: sealer.seal(b""), lambda: sealer.seal_to(b"", 1), lambda: sealer.seal_run([(b"",)])):
        with pytest.raises(OSError, match="closed"):
            use()
    other, further = seal.sealer(), seal.sealer()
    assert HEAD.unpack_from(other.seal(b""))[2] == 2
    assert HEAD.unpack_from(further.seal(b""))[2] == 1 << COUNT_BITS | 1


def test_what_seals_and_sends_in_one_seals_as_the_other_does_and_begins_anew_where_a_stream_ends():
    one, other = two_lives()
    opener, sent = other.opener(9), []
    sealer = one.sealer(9)
    stream = sealer._stream
    stream.last = (stream.last & ~LAST_COUNT) | 3
    send = sealer.sending(lambda data: sent.append(data) or len(data))
    assert [send(b"text") for _ in range(6)] == [4 + OVERHEAD] * 6
    assert [opener.open(data) for data in sent] == [b"text"] * 6
    assert opener.open(b"".join(sealer.seal_run([(b"te", b"xt")] * 3))) == b"text" * 3
    with pytest.raises(OSError) as refusal:
        send(bytes(65_536))
    assert refusal.value.errno == errno.EMSGSIZE
    one.end()
    with pytest.raises(OSError):
        send(b"text")
    assert len(sent) == 6


compiled = pytest.mark.skipif(fast.compiled is None, reason="the compiled part is not there")
algorithms = pytest.mark.parametrize("algorithm", ALGORITHMS)


def twins(algorithm: str) -> tuple[Sealer, Sealer]:
    """Return two that seal the same to the same bytes, the second without the compiled part."""
    key, session = keyring(algorithm=algorithm), bytes(range(12))
    sealers = [Seal(key, lambda: 1.0, lambda size: session[:1] * size).sealer(9) for _ in range(2)]
    sealers[1]._fast = None
    return sealers[0], sealers[1]


@compiled
@algorithms
@given(st.data())
@settings(deadline=None)
def test_in_one_step_the_same_bytes_are_made_as_in_several(algorithm, data):
    quick, slow = twins(algorithm)
    size = data.draw(st.integers(1, 1_500))
    count, rest, cut = data.draw(st.integers(1, 70)), data.draw(st.integers(1, size)), data.draw(st.integers(0, size))
    body = bytes(range(256)) * ((count * size) // 256 + 1)
    body = body[: (count - 1) * size + rest]
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    split = [(part[:cut], memoryview(part)[cut:]) for part in parts]
    assert quick.seal_joined(split, size) == b"".join(slow.seal_run(split))
    heads = [b"%044d" % number for number in range(count)]
    assert quick.seal_laid(b"".join(heads), memoryview(body), size) == b"".join(
        slow.seal_run(list(zip(heads, parts, strict=True)))
    )
    sent: list[bytes] = []
    sends = [sealer.sending(lambda data: sent.append(data) or len(data)) for sealer in (quick, slow)]
    for part in (b"", *parts[:3], bytes(65_455)):
        assert [send(part) for send in sends] == [len(part) + OVERHEAD] * 2
        assert sent.pop() == sent.pop()


@compiled
def test_what_cannot_be_done_in_one_step_is_left_to_python():
    quick, _ = twins(ALGORITHMS[0])
    for datagrams, segment in (
        ([], 4),
        ([(b"four",)], 0),
        ([(b"four",)], 3),
        ([(b"four",), (b"fives",)], 4),
        ([(b"fou",), (b"four",)], 4),
        ([(bytearray(b"four"),)], 4),
        ([b"four"], 4),
        ([(bytes(65_456),)], 65_456),
    ):
        assert quick.seal_joined(datagrams, segment) is None
    for heads, body, size in (
        (b"", b"", 1),
        (b"abc", b"12345678", 4),
        (b"ab", b"1234", 0),
        (bytes(44), bytes(65_412), 65_412),
        (b"", bytes(65_456), 65_456),
    ):
        assert quick.seal_laid(heads, memoryview(body), size) is None
    quick._stream.last = 0
    assert quick.seal_joined([(b"four",)], 4) is quick.seal_laid(b"", memoryview(b"four"), 4) is None
    sent: list[bytes] = []
    assert quick.sending(lambda data: sent.append(data) or 1)(bytearray(b"other")) == 1
    assert len(sent[0]) == 5 + OVERHEAD


@compiled
def test_a_life_that_has_ended_seals_nothing_in_one_step_either():
    seal = Seal(keyring())
    sealer, sent = seal.sealer(9), []
    send = sealer.sending(lambda data: sent.append(data))
    send(b"1")
    seal.end()
    with pytest.raises(OSError, match="forked"):
        send(b"2")
    assert sealer.seal_joined([(b"2",)], 1) is sealer.seal_laid(b"", memoryview(b"2"), 1) is None
    with pytest.raises(OSError, match="forked"):
        sealer.seal_run([(b"2",)])
    assert len(sent) == 1
    other = Seal(keyring()).sealer(9)
    other.close()
    with pytest.raises(OSError, match="closed"):
        other.seal_joined([(b"2",)], 1)
