from __future__ import annotations

from ipcpy.bridges.choice import Choice, Kin
from ipcpy.bridges.offers import Offer
from ipcpy.bridges.rules import Rules

ME, A, B, C = (f"{n:016x}" for n in (5, 10, 11, 12))
X = "ab" * 8


def offer(*path: str, topic: str = "imu") -> Offer:
    return Offer(X, topic, "raw", path=path)


def choice(rules: Rules | None = None, hops: int = 4) -> Choice:
    return Choice(ME, rules or Rules(), hops)


def test_of_several_ways_the_shortest_is_taken() -> None:
    made = choice()
    for each in (offer(A, B), offer(C), offer(B)):
        made.put(each)
    assert made.best(X, ()) == offer(B)
    assert len(made) == 2, "another offer of the same bridge takes the place of its first"


def test_a_way_that_is_as_good_does_not_take_the_place_of_the_one_in_use() -> None:
    made = choice()
    made.put(offer(B))
    made.put(offer(A))
    assert made.best(X, (), current=B) == offer(B)
    made.put(offer(C, B))
    assert made.best(X, (), current=B) == offer(A)


def test_what_passed_this_bridge_or_this_lan_is_not_taken() -> None:
    made = choice()
    made.put(offer(ME, A))
    made.put(offer(B, C))
    assert made.best(X, (B,)) is None
    assert made.best(X, ()) == offer(B, C)


def test_what_passed_too_many_bridges_is_not_taken() -> None:
    made = choice(hops=2)
    made.put(offer(A, B, C))
    assert made.best(X, ()) is None
    assert "3 bridges" in made.why_not(offer(A, B, C), ())


def test_what_is_not_imported_is_not_taken() -> None:
    made = choice(Rules(["in:cmd"]))
    made.put(offer(A))
    assert made.best(X, ()) is None


def test_what_is_no_more_is_forgotten() -> None:
    made = choice()
    made.put(offer(A))
    made.remove((A, X))
    made.remove((A, X))
    assert (made.best(X, ()), made.publishers(), len(made)) == (None, (), 0)


def test_a_publisher_of_this_lan_is_always_exported() -> None:
    made = choice()
    made.put(offer(A))
    assert made.may_export(X, ())


def test_what_was_imported_goes_on_to_those_who_do_not_have_it() -> None:
    made = choice(hops=3)
    assert made.may_export(X, (A,))
    assert not made.may_export(X, (A, ME))
    assert not made.may_export(X, (A, B, C))
    made.put(offer(A))
    assert not made.may_export(X, (A,))


def test_publishers_of_one_origin_and_topic_whose_ids_begin_alike_stand_for_the_same() -> None:
    kin, broker = Kin(), "bb" * 8
    mine, yours, other = "12345678" + "a" * 8, "12345678" + "b" * 8, "87654321" + "b" * 8
    for publisher in (mine, yours, other):
        kin.put(publisher, (broker,), "cmd")
    assert kin.of(mine, (broker,), "cmd") == {yours}
    assert kin.of("12345678" + "c" * 8, (broker, "cc" * 8), "cmd") == {mine, yours}
    assert kin.of(mine, ("dd" * 8,), "cmd") == kin.of(mine, (broker,), "cmd2") == kin.of(mine, (), "cmd") == set()
    kin.put(yours, (broker,), "cmd2")
    kin.remove(mine)
    kin.remove(mine)
    assert kin.of(yours, (broker,), "cmd") == set()
    kin.put(other, (), "cmd")
    assert kin.of("87654321" + "c" * 8, (broker,), "cmd") == set()
