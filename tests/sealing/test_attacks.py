"""A man without the key, who has all that was ever sent, against the seal itself: a million times each.

What the same attacks do to whole nodes, on all of their ports, is in tests/system/test_sealed_attacks.py.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from random import Random

import pytest

from ipcpy.protocol.wire import Kind
from ipcpy.sealing.linkseal import LinkOpener
from ipcpy.sealing.opener import Opener
from sealed import Clock, Life, accepted, alive, data, greeting, keyring, meet

MILLION = 1_000_000
DATA_PORT, GROUP_PORT = 40_001, 25_000
ATTACKER = ("10.0.0.99", 4_000)


class Scene:
    """Two nodes that have met, what one sent to the other, and the sockets of the other.

    Attributes:
        recorded: what came to each socket of the receiver, and was opened there.
        held: what was sent to each of them and never came: the attacker kept it.
        openers: the receiver's data socket, group's data socket, link's socket and link's group socket.
    """

    def __init__(self, algorithm: str = "chacha20-poly1305", count: int = 500) -> None:
        self.sender, self.receiver = (Life(number, keyring(1, algorithm=algorithm)) for number in (1, 2))
        meet(self.sender, self.receiver)
        unicast, multicast = self.sender.seal.sealer(DATA_PORT), self.sender.seal.sealer(GROUP_PORT)
        seal = self.receiver.seal
        self.openers: list[Opener | LinkOpener] = [
            seal.opener(DATA_PORT), seal.opener(GROUP_PORT, group=True), self.receiver.link, self.receiver.group
        ]  # fmt: skip
        say: list[Callable[[int], bytes]] = [
            lambda number: unicast.seal(data(number)),
            lambda number: multicast.seal(data(number, 400)),
            lambda number: self.sender.say(alive(), self.receiver.address),
            lambda number: self.sender.say(greeting(cookie=number), None),
        ]
        self.recorded: list[list[bytes]] = [[], [], [], []]
        self.held: list[list[bytes]] = [[], [], [], []]
        for number in range(1, count + 1):
            for opener, seal_one, recorded, held in zip(self.openers, say, self.recorded, self.held, strict=True):
                sealed = seal_one(number)
                if number % 5:
                    assert accepted([opener], sealed, self.sender.address)
                    recorded.append(sealed)
                else:
                    held.append(sealed)

    def still_works(self) -> None:
        """Insist that nothing was spoiled: what was held back is opened now, each once, each where it belongs."""
        for opener, held in zip(self.openers, self.held, strict=True):
            for sealed in held:
                assert len(accepted([opener], sealed, self.sender.address)) == 1
                assert accepted([opener], sealed, self.sender.address) == []


def kept(scene: Scene) -> int:
    """Return how many things the receiver's seal remembers, whatever they are."""
    seen: set[int] = set()
    todo: list[object] = [scene.receiver.seal, *scene.openers]
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, type) or callable(each) and not hasattr(each, "__dict__"):
            continue
        seen.add(id(each))
        if isinstance(each, dict):
            todo += [*each.keys(), *each.values()]
        elif isinstance(each, list | tuple | set | frozenset):
            todo += each
        elif type(each).__module__.startswith("ipcpy"):
            todo += [getattr(each, name) for kind in type(each).__mro__ for name in getattr(kind, "__slots__", ())
                     if hasattr(each, name)]  # fmt: skip
            todo += vars(each).values() if hasattr(each, "__dict__") else ()
    return len(seen)


def attack(scene: Scene, sent: Iterator[bytes], count: int) -> int:
    """Send to each socket in turn; return how many datagrams were taken."""
    taken = 0
    openers, source = scene.openers, scene.sender.address
    for number, sealed in zip(range(count), sent, strict=False):
        opener = openers[number % 4]
        plain = opener.open(sealed, source) if isinstance(opener, LinkOpener) else opener.open(sealed)
        taken += bool(plain)
    return taken


def replays(scene: Scene, dice: Random) -> Iterator[bytes]:
    """Yield what was opened before: at its own socket, in any order."""
    while True:
        for recorded in scene.recorded:
            yield dice.choice(recorded)


def redirected(scene: Scene, dice: Random) -> Iterator[bytes]:
    """Yield what was sent to the next socket, whether it came there or not."""
    while True:
        for at in range(4):
            other = (at + 1 + dice.randrange(3)) % 4
            yield dice.choice(scene.recorded[other] + scene.held[other])


def flips(scene: Scene, dice: Random) -> Iterator[bytes]:
    """Yield what never came, with one bit changed."""
    while True:
        for at in range(4):
            sealed = bytearray(dice.choice(scene.held[at]))
            sealed[dice.randrange(len(sealed))] ^= 1 << dice.randrange(8)
            yield bytes(sealed)


def mutations(scene: Scene, dice: Random) -> Iterator[bytes]:
    """Yield random bytes, and what was sent in pieces, longer, mixed, merged, with other sessions and numbers."""
    came = [sealed for each in scene.recorded for sealed in each]
    genuine = {sealed for each in scene.held for sealed in each}
    while True:
        for at in range(4):
            one, other = dice.choice(scene.held[at]), dice.choice(came)
            made = one
            while made in genuine:  # as one in a thousand is, whose last byte is drawn anew
                made = mutated(one, other, dice)
            yield made


def mutated(one: bytes, other: bytes, dice: Random) -> bytes:
    """Return something like two datagrams; the second came already."""
    match dice.randrange(10):
        case 0:
            return dice.randbytes(dice.randrange(1, 200))
        case 1:
            return one[: dice.randrange(1, len(one))]
        case 2:
            return other + dice.randbytes(dice.randrange(1, 40))
        case 3:
            return one[:36] + other[36:] + b"x"
        case 4:
            return one[:20] + dice.randbytes(12) + one[32:]
        case 5:
            return one[:8] + dice.randbytes(8) + one[16:]
        case 6:
            return one[:16] + dice.randbytes(4) + one[20:]
        case 7:
            cut = dice.randrange(32, len(one))
            return one[:cut] + dice.randbytes(len(one) - cut)
        case 8:
            return one[1:] + other + one[:-1]
        case _:
            return one[:32] + dice.randbytes(4) + one[36:]


@pytest.mark.parametrize("how", [replays, redirected, flips, mutations])
def test_a_million_attacks_open_nothing(how):
    scene = Scene()
    before = kept(scene)
    assert attack(scene, how(scene, Random(3)), MILLION) == 0
    assert kept(scene) < before + 400  # counters, and what is bounded: see the test below
    assert sum(scene.receiver.seal.refused.values()) >= MILLION
    scene.still_works()


@pytest.mark.parametrize("how", [replays, redirected, flips, mutations])
def test_the_same_with_aes(how):
    scene = Scene("aes-256-gcm")
    assert attack(scene, how(scene, Random(4)), 50_000) == 0
    scene.still_works()


def test_what_each_attack_is_counted_as():
    scene, counts = Scene(), {}
    for how in (replays, redirected, flips):
        scene.receiver.seal.refused.clear()
        attack(scene, how(scene, Random(5)), 20_000)
        counts[how.__name__] = set(scene.receiver.seal.refused)
    assert counts["replays"] == {"replayed"}
    assert counts["redirected"] == {"misdirected"}
    assert {"forged", "key", "malformed", "misdirected"} <= counts["flips"]


def test_every_single_bit_of_a_datagram_matters():
    scene = Scene(count=10)
    for opener, (sealed, *_) in zip(scene.openers, scene.held, strict=True):
        for bit in range(8 * len(sealed)):
            changed = bytearray(sealed)
            changed[bit // 8] ^= 1 << bit % 8
            assert accepted([opener], bytes(changed), scene.sender.address) == [], f"bit {bit}"
    scene.still_works()


def test_an_attack_leaves_no_memory_behind():
    """Not one allocation for each datagram: neither for forged sessions and keys, nor for addresses."""
    scene = Scene(count=20)
    dice = Random(6)
    forged = [sealed for how in (replays, redirected, flips, mutations)
              for sealed, _ in zip(how(scene, dice), range(4_000), strict=False)]  # fmt: skip
    addresses = [(f"10.{dice.randrange(256)}.{dice.randrange(256)}.1", dice.randrange(65_536)) for _ in range(5_000)]

    def strike() -> None:
        for number, sealed in enumerate(forged):
            accepted(scene.openers, sealed, addresses[number % len(addresses)])

    strike()  # what is bounded is full
    tracemalloc.start()
    try:
        strike()
        before, _ = tracemalloc.get_traced_memory()
        strike()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000, f"{after - before} bytes more after {4 * len(forged)} datagrams"


# -- recorded sessions -----------------------------------------------------------------------------------------------


def old_world(clock: Clock) -> tuple[Life, Life, list[bytes], list[bytes]]:
    """Return two nodes that met and ended, what their links said, and what one sent the other."""
    one, two = Life(1, clock=clock), Life(2, clock=clock)
    meet(one, two)
    sealer = one.seal.sealer(DATA_PORT)
    sent = [sealer.seal(data(number)) for number in range(100)]
    for _ in range(20):
        clock.now += 1.0
        two.hears(one.say(alive(), two.address), one.address)
        one.hears(two.say(alive(), one.address), two.address)
    return one, two, [*one.said, *two.said], sent


@pytest.mark.parametrize("later", [0.0, 5.0, 25.0, 86_400.0, -500.0])
def test_old_sessions_are_not_believed_by_a_new_life(later):
    """Whatever the clocks say: the new life began at the same moment, a day later, or before the recording."""
    clock = Clock()
    one, two, said, sent = old_world(clock)
    clock.now += later
    fresh = Life(2, clock=clock)  # as the second was: the same address, the same key, the same clock
    data_socket = fresh.seal.opener(DATA_PORT)
    for _ in range(3):
        for sealed in said:
            for source in (one.address, two.address, ATTACKER):
                plain = fresh.hears(sealed, source)
                assert not plain or plain[3] in (Kind.HELLO, Kind.WELCOME, Kind.CONFIRM)
                fresh.group.open(sealed, source)
        for sealed in sent:
            assert data_socket.open(sealed) == b""
        clock.now += 7.0
    assert not fresh.believes(one) and not fresh.believes(two)
    assert fresh.seal.refused["unproven"] >= 300


def test_answers_to_old_greetings_do_not_make_them_believed():
    """He plays a dead node's greetings, and plays them again after each answer, which repeats their challenge."""
    clock = Clock()
    one, _, said, _ = old_world(clock)
    fresh = Life(2, clock=clock)
    for _ in range(50):
        for sealed in said:
            if fresh.hears(sealed, one.address):
                fresh.say(greeting(Kind.WELCOME), one.address)
        clock.now += 1.0
    assert not fresh.believes(one)


def test_our_own_session_is_nobody_elses():
    """Our own greetings, and all that our link says, come back to it from the address of a peer."""
    one, two = Life(1), Life(2)
    meet(one, two)
    for _ in range(30):
        one.say(alive(), two.address)
        for sealed in list(one.said):
            assert one.hears(sealed, two.address) == b""
    assert two.hears(one.say(alive(), two.address), one.address)
    assert one.seal.refused["reflected"] or one.seal.refused["misdirected"]


def test_replayed_greetings_keep_nobody_from_meeting():
    """He plays the greetings of 300 dead sessions from the address of one that is there, between all that it says."""
    clock = Clock()
    dead = [Life(1, clock=clock) for _ in range(300)]
    played = [each.say(greeting(cookie=number), None) for number, each in enumerate(dead)]
    clock.now += 60.0
    one, two = Life(1, clock=clock), Life(2, clock=clock)
    dice = Random(8)

    def flood() -> None:
        for sealed in dice.sample(played, 50):
            two.hears(sealed, one.address)
            two.group.open(sealed, one.address)

    for _ in range(3):  # ipcpy knocks five times in the first 1.5 s, and again and again
        flood()
        two.hears(one.say(greeting(cookie=500), two.address), one.address)
        flood()
        one.hears(two.say(greeting(Kind.WELCOME, seq=500, cookie=501), one.address), two.address)
        flood()
        two.hears(one.say(greeting(Kind.CONFIRM, seq=501), two.address), one.address)
        clock.now += 0.2
        if one.believes(two) and two.believes(one):
            break
    assert one.believes(two) and two.believes(one)


def test_replayed_greetings_use_up_no_stream():
    """2^23 addresses would else have used up all numbers of a node."""
    clock = Clock()
    old, two = Life(1, clock=clock), Life(2, clock=clock)
    played = old.say(greeting(), None)
    streams = set()
    for number in range(5_000):
        source = (f"10.1.{number // 250}.{number % 250}", 2_000 + number)
        two.group.open(played, source)
        sealed = two.say(greeting(Kind.WELCOME), source)
        streams.add(int.from_bytes(sealed[8:16], "little") >> 40)
    assert len(streams) <= 2


def test_a_proof_is_of_the_last_seconds():
    """What was held back for 25 s proves nothing, in the same life too."""
    one, two = Life(1), Life(2)
    hello = one.say(greeting(cookie=1), two.address)
    assert two.hears(hello, one.address)
    assert one.hears(two.say(greeting(Kind.WELCOME, seq=1), one.address), two.address)
    confirm = one.say(greeting(Kind.CONFIRM), two.address)
    two.clock.now += 25.0
    two.hears(confirm, one.address)
    assert not two.believes(one)


# -- what was held back ----------------------------------------------------------------------------------------------


def live(lives: list[Life], seconds: int) -> None:
    """Let time pass for nodes that share a clock: each says something to each other one every second."""
    for _ in range(seconds):
        lives[0].clock.now += 1.0
        for one in lives:
            for other in lives:
                if one is not other:
                    other.hears(one.say(alive(), other.address), one.address)


@pytest.mark.parametrize("seconds", [100, 4_000])
def test_what_was_held_back_is_not_taken_long_after(seconds):
    """The datagram is genuine and never came: an attacker kept it, and nothing else followed in its stream."""
    clock = Clock()
    one, two = Life(1, clock=clock), Life(2, clock=clock)
    meet(one, two)
    sealer, opener = one.seal.sealer(DATA_PORT), two.seal.opener(DATA_PORT)
    live([one, two], 5)
    command = sealer.seal(data(1))
    soon = sealer.seal(data(2))
    link = one.say(alive(), two.address)
    live([one, two], 20)
    assert opener.open(soon)  # a network may be slow
    live([one, two], seconds)
    assert opener.open(command) == b""
    assert two.seal.refused["stale"] == 1
    assert two.hears(link, one.address) == b""
    assert opener.open(sealer.seal(data(3)))


def test_the_dead_say_nothing_more():
    """What a node that ended had sent, and an attacker kept, comes minutes later."""
    clock = Clock()
    one, two, three = (Life(number, clock=clock) for number in (1, 2, 3))
    meet(one, two), meet(three, two)
    sealer, opener = one.seal.sealer(DATA_PORT), two.seal.opener(DATA_PORT)
    assert opener.open(sealer.seal(data(1)))
    kept_back = [sealer.seal(data(2)), one.say(alive(), two.address), one.say(greeting(), None)]
    live([two, three], 400)
    assert opener.open(kept_back[0]) == b""
    assert two.hears(kept_back[1], one.address) == b""
    two.group.open(kept_back[2], one.address)  # a greeting: it is answered, and nothing more
    assert not two.believes(one)
    assert opener.open(kept_back[0]) == b""


# -- keys that were given up -----------------------------------------------------------------------------------------


def test_a_key_that_was_taken_away_opens_nothing():
    clock = Clock()
    one, two = Life(1, keyring(1), clock), Life(2, keyring(2, 1), clock)
    two.seal.keyring = keyring(1, 2)
    meet(one, two)
    sealer, opener = one.seal.sealer(DATA_PORT), two.seal.opener(DATA_PORT)
    assert opener.open(sealer.seal(data(1)))
    assert two.hears(one.say(alive(), two.address), one.address)
    two.seal.keyring = keyring(2)
    assert opener.open(sealer.seal(data(2))) == b""
    assert two.hears(one.say(alive(), two.address), one.address) == b""
    assert two.hears(one.say(greeting(), two.address), one.address) == b""
    assert two.seal.refused["key"] == 3


def test_the_thief_of_a_key_has_spoilt_nothing_once_it_is_gone():
    """He has key 1, and speaks in the session of another: the highest numbers and age. Then key 1 is removed."""
    clock = Clock()
    one, two = Life(1, keyring(1, 2), clock), Life(2, keyring(1, 2), clock)
    meet(one, two)
    opener = two.seal.opener(DATA_PORT)
    sealer = one.seal.sealer(DATA_PORT)
    genuine = sealer.seal(data(1))
    assert opener.open(genuine)
    cipher = keyring(1).first.session_cipher(one.seal.session)

    def forge(number: int, age: int, port: int, plain: bytes) -> bytes:
        size = len(plain) + len(genuine) - len(data(1))
        head = size.to_bytes(2, "little") + genuine[2:6] + port.to_bytes(2, "little") + number.to_bytes(8, "little")
        head += genuine[16:32] + age.to_bytes(4, "little")
        return head + cipher.encrypt(head[8:20], plain, head)

    for stream in range(20):
        number = stream << 40 | (1 << 40) - 2
        two.hears(forge(number, (1 << 32) - 1, 0, bytes(16) + alive()), one.address)
        opener.open(forge(number - 1, (1 << 32) - 1, DATA_PORT, data(666)))
    for life in (one, two):
        life.seal.keyring = keyring(2, 1)
    live([one, two], 10)
    for life in (one, two):
        life.seal.keyring = keyring(2)
    live([one, two], 10)
    if not two.believes(one):
        meet(one, two)
    assert opener.open(sealer.seal(data(2)))
    assert two.hears(one.say(alive(), two.address), one.address)


def test_what_another_key_sealed_long_ago_is_not_taken():
    """Both keys are accepted all the time; the sender used one and now the other. He kept what the first one sealed."""
    clock = Clock()
    one, two = Life(1, keyring(1, 2), clock), Life(2, keyring(1, 2), clock)
    meet(one, two)
    opener, sealer = two.seal.opener(DATA_PORT), one.seal.sealer(DATA_PORT)
    live([one, two], 30)
    kept_back = sealer.seal(data(1))
    one.seal.keyring = keyring(2, 1)
    for _ in range(30):
        live([one, two], 1)
        assert opener.open(sealer.seal(data(2)))  # and nothing is lost when it goes over
    live([one, two], 400)
    assert opener.open(kept_back) == b""
    assert opener.open(sealer.seal(data(3)))


def test_old_greetings_of_a_life_that_goes_on_keep_nobody_from_meeting():
    """The same session, the same cookies, an old challenge: from hours ago, from before the other node began."""
    clock = Clock()
    one = Life(1, clock=clock)
    old = [one.say(greeting(cookie=500), None) for _ in range(20)]
    dead = [Life(3, clock=clock).say(greeting(), None) for _ in range(300)]
    clock.now += 7_200.0
    two = Life(2, clock=clock)
    dice = Random(9)
    for _ in range(3):
        two.group.open(one.say(greeting(cookie=500), None), one.address)
        for sealed in [*dead, dice.choice(old)]:
            two.group.open(sealed, one.address)
        one.hears(two.say(greeting(Kind.WELCOME, seq=500, cookie=501), one.address), two.address)
        if one.believes(two):
            break
        clock.now += 0.2
    assert one.believes(two)
