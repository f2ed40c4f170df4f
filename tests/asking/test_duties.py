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


def test_the_numbers_that_a_gap_jumps_over_are_taken_once_when_they_come_yet(duties):
    assert [job.number for number in (1, 5, 3) for job in duties.arrived("a", seal(CALL, number))] == [1, 5, 3]
    assert duties.arrived("a", seal(CALL, 3), aside=True) == []
    assert duties.arrived("a", seal(CALL, 5)) == []
    assert duties.dropped == {"repeated": 2}


def test_of_the_numbers_that_were_jumped_over_the_newest_are_remembered(duties):
    last = 3 * module.MAX_MISSING
    duties.arrived("a", seal(CALL, last))
    assert duties.arrived("a", seal(CALL, last - module.MAX_MISSING - 1)) == []
    (job,) = duties.arrived("a", seal(CALL, last - module.MAX_MISSING))
    assert job.number == last - module.MAX_MISSING
    duties.arrived("a", seal(CALL, 1 << 63))  # takes no time
    assert duties.arrived("a", seal(CALL, last - 1)) == []


def test_what_was_cancelled_before_it_came_is_not_done(duties):
    assert duties.arrived("a", seal(CANCEL, 2)) == []
    assert duties.arrived("a", seal(CALL, 2), aside=True) == []
    assert [job.number for job in duties.arrived("a", seal(CALL, 1), aside=True)] == [1]


def test_an_answer_that_went_aside_is_kept_until_the_next_request_says_that_it_has_come(duties):
    (job,) = duties.arrived("a", seal(CALL, 1), aside=True)
    assert duties.finished(job, b"answer 1")
    assert job.aside
    assert duties.arrived("a", seal(CALL, 1), aside=True) == []  # doubled on the way: nobody waits for that
    (second,) = duties.arrived("a", seal(CALL, 2, step=1), aside=True)  # the first is open still
    assert duties.arrived("a", seal(CALL, 1)) == [Tell("a", b"answer 1")]  # asked for by the topic
    assert duties.arrived("a", seal(CALL, 1)) == []  # which loses nothing
    duties.finished(second, b"answer 2")
    duties.arrived("a", seal(CALL, 3), aside=True)
    assert duties.arrived("a", seal(CALL, 2)) == []
    assert told(duties.arrived("a", seal(ASK, 2))) == [(LOST, 2, 2)]


def test_who_asks_for_a_call_whose_answer_went_aside_gets_it(duties):
    (job,) = duties.arrived("a", seal(CALL, 1), aside=True)
    duties.finished(job, b"answer")
    assert duties.arrived("a", seal(ASK, 1)) == [Tell("a", b"answer")]


def test_a_call_that_comes_by_the_topic_too_is_answered_there(duties):
    (job,) = duties.arrived("a", seal(CALL, 1), aside=True)
    assert job.aside
    assert duties.arrived("a", seal(CALL, 1)) == []
    assert duties.finished(job, b"answer")
    assert not job.aside
    assert duties.dropped == {}
    duties.told(job)
    assert told(duties.arrived("a", seal(ASK, 1))) == [(LOST, 1, 1)]


def test_what_is_too_large_to_be_kept_or_one_too_many_does_not_go_aside(duties):
    jobs = [job for number in range(1, module.MAX_KEPT + 4) for job in ask_aside(duties, number)]
    assert duties.finished(jobs[0])  # the answer is a large one
    assert not jobs[0].aside
    aside = [job for job in jobs[1:] if duties.finished(job, b"answer") and job.aside]
    assert len(aside) == module.MAX_KEPT - 1
    assert duties.arrived("a", seal(CALL, 1)) == []  # no answer is sent twice by the topic, and nothing is wrong
    assert duties.dropped == {}
    (job,) = duties.arrived("a", seal(CALL, 100), aside=True)  # all before have come
    assert duties.finished(job, b"answer")
    assert job.aside


def ask_aside(duties, number):
    """Return what is found in a request of a client that has no answer yet."""
    return duties.arrived("a", seal(CALL, number, step=number - 1), aside=True)


def test_what_nobody_wants_is_not_kept(duties):
    (job,) = duties.arrived("a", seal(CALL, 1), aside=True)
    duties.arrived("a", seal(CANCEL, 1))
    assert not duties.finished(job, b"answer")
    assert not job.aside


def test_who_asks_for_a_call_hears_nothing_while_it_runs_and_that_it_is_lost_after(duties):
    (job,) = duties.arrived("a", seal(CALL, 1))
    assert duties.arrived("a", seal(ASK, 1)) == []
    duties.finished(job)
    assert duties.arrived("a", seal(ASK, 1)) == []  # its answer may wait until the client can take it
    duties.told(job)
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
