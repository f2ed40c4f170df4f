"""The server's duties: at most once, gaps, cancelling, clients that come back, and bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.asking import duties as module
from ipcpy.asking.duties import Cancel, Duties, Job, Tell
from ipcpy.asking.envelope import (
    ASK,
    CALL,
    CANCEL,
    LOST,
    PART,
    REFUSED,
    RESULT,
    WAITS,
    seal,
    unpack_failure,
    unpack_lost,
    unseal,
)


@pytest.fixture
def duties():
    made = Duties("arm", None)
    made.join("a")
    return made


def told(found):
    """Return kind and number of each answer, and for a LOST also the first that is lost."""
    seen = [unseal(each.data) for each in found if isinstance(each, Tell)]
    return [(e.kind, e.number, unpack_lost(e.body)) if e.kind == LOST else (e.kind, e.number) for e in seen]


def test_a_call_is_a_job_once(duties):
    (job,) = duties.arrived("a", seal(CALL, 1, b"x"))
    assert (job.client, job.number, job.body) == ("a", 1, b"x")
    assert duties.arrived("a", seal(CALL, 1, b"x")) == []
    assert duties.finished(job)
    assert duties.arrived("a", seal(CALL, 1, b"other bytes")) == []
    assert (duties.open, duties.dropped) == (0, {"repeated": 2})


def test_requests_of_more_bytes_than_may_wait_are_refused(duties, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    (large,) = duties.arrived("a", seal(CALL, 1, bytes(200)))  # alone it may have what one request has
    (refused,) = duties.arrived("a", seal(CALL, 2, b"x"))
    assert "has 0 MiB" not in unpack_failure(unseal(refused.data).body).text
    assert "and it takes no more" in unpack_failure(unseal(refused.data).body).text
    duties.finished(large)
    duties.arrived("a", seal(CALL, 3, bytes(60)))
    assert told(duties.arrived("a", seal(CALL, 4, bytes(60)))) == [(REFUSED, 4)]
    duties.leave("a")
    duties.join("b")
    assert isinstance(duties.arrived("b", seal(CALL, 1, bytes(60)))[0], Job)


def test_the_numbers_that_a_gap_jumps_over_are_told_lost_and_not_taken_any_more(duties):
    duties.arrived("a", seal(CALL, 1))
    found = duties.arrived("a", seal(CALL, 5))
    assert told(found) == [(LOST, 4, 2)]
    assert [each.number for each in found if isinstance(each, Job)] == [5]
    assert duties.arrived("a", seal(CALL, 3)) == []
    assert duties.dropped == {"repeated": 1}


def test_who_asks_for_a_call_hears_nothing_while_it_runs_and_that_it_is_lost_after(duties):
    (job,) = duties.arrived("a", seal(CALL, 1))
    assert duties.arrived("a", seal(ASK, 1)) == []
    duties.finished(job)
    assert told(duties.arrived("a", seal(ASK, 1))) == [(LOST, 1, 1)]


def test_a_call_that_was_told_lost_is_not_done_when_it_comes_yet(duties):
    assert told(duties.arrived("a", seal(ASK, 1))) == [(LOST, 1, 1)]
    assert duties.arrived("a", seal(CALL, 1)) == []


@pytest.mark.parametrize(("flags", "wanted"), [(0, False), (WAITS, True)])
def test_a_job_can_be_cancelled_once_and_knows_whether_its_end_is_wanted(duties, flags, wanted):
    (job,) = duties.arrived("a", seal(CALL, 1))
    assert duties.arrived("a", seal(CANCEL, 1, flags=flags)) == [Cancel(job)]
    assert duties.arrived("a", seal(CANCEL, 1, flags=flags)) == []
    assert duties.arrived("a", seal(CANCEL, 9)) == []
    assert (job.cancelled, duties.finished(job)) == (True, wanted)


def test_a_client_that_leaves_takes_its_jobs_along(duties):
    (job,) = duties.arrived("a", seal(CALL, 1))
    assert duties.leave("a") == [job]
    assert (job.cancelled, duties.open) == (True, 0)
    assert not duties.finished(job)
    assert duties.arrived("a", seal(CALL, 2)) == []
    assert duties.dropped == {"client": 1}
    assert duties.leave("a") == []


def test_a_client_that_comes_back_is_not_served_its_old_calls_again(duties):
    duties.arrived("a", seal(CALL, 1))
    duties.leave("a")
    assert duties.join("a")
    assert duties.arrived("a", seal(CALL, 1)) == []
    assert [type(each) for each in duties.arrived("a", seal(CALL, 2))] == [Job]


def test_one_open_goal_more_than_wanted_is_refused_with_a_sentence():
    duties = Duties("arm", 1)
    duties.join("a")
    duties.join("b")
    (job,) = duties.arrived("a", seal(CALL, 1))
    (refusal,) = duties.arrived("b", seal(CALL, 1))
    envelope = unseal(refusal.data)
    assert (refusal.client, envelope.kind, envelope.number) == ("b", REFUSED, 1)
    assert unpack_failure(envelope.body) == ("Refused", "'arm' has 1 open goal, and takes no more", "")
    assert duties.refused == 1
    duties.finished(job)
    assert [type(each) for each in duties.arrived("b", seal(CALL, 2))] == [Job]


def test_a_flood_is_refused_and_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_OF_ONE", 3)
    monkeypatch.setattr(module, "MAX_JOBS", 5)
    monkeypatch.setattr(module, "MAX_CLIENTS", 2)
    duties = Duties("arm", None)
    assert [duties.join(name) for name in "abca"] == [True, True, False, True]
    kinds = [duties.arrived("a", seal(CALL, number)) for number in range(1, 6)]
    assert [type(found[0]) for found in kinds] == [Job, Job, Job, Tell, Tell]
    kinds = [duties.arrived("b", seal(CALL, number)) for number in range(1, 4)]
    assert [type(found[0]) for found in kinds] == [Job, Job, Tell]
    assert (duties.open, duties.refused) == (5, 3)


def test_clients_that_left_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(module, "MAX_LEFT", 2)
    duties = Duties("arm", None)
    for name in "abc":
        duties.join(name)
        duties.arrived(name, seal(CALL, 1))
        duties.leave(name)
    duties.join("c")
    assert duties.arrived("c", seal(CALL, 1)) == []
    duties.join("a")
    assert len(duties.arrived("a", seal(CALL, 1))) == 1


def test_a_request_in_two_pieces_is_put_together_and_no_other_is(duties):
    assert duties.arrived("a", seal(PART, 2, b"ab")) == []
    (job,) = duties.arrived("a", seal(CALL, 1, b"x"))
    assert job.body == b"x"
    (job,) = duties.arrived("a", seal(CALL, 2, b"cd"))
    assert job.body == b"abcd"


def test_what_only_servers_send_is_no_request(duties):
    assert duties.arrived("a", seal(RESULT, 1)) == []
    assert duties.arrived("a", b"") == []
    assert duties.dropped == {"malformed": 2}


@given(st.lists(st.tuples(st.sampled_from("abx"), st.binary(max_size=20)), max_size=30))
def test_garbage_raises_nothing_and_every_job_is_new(sent):
    duties = Duties("arm", None)
    duties.join("a")
    duties.join("b")
    jobs = [each for client, data in sent for each in duties.arrived(client, data) if isinstance(each, Job)]
    assert len({(job.client, job.number) for job in jobs}) == len(jobs)
