"""What is taken where it is read: by the thread that waits for it, and by no other."""

from __future__ import annotations

import threading

import pytest

from ipcpy.asking.awaited import Answer, Requests
from ipcpy.asking.calls import Calls
from ipcpy.asking.duties import Duties, Job
from ipcpy.asking.envelope import CALL, RESULT, seal


def elsewhere(function, *arguments):
    """Return what a function returns in another thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function(*arguments)))
    thread.start()
    thread.join(20)
    return found[0]


@pytest.fixture
def waiting():
    """Return what takes an answer, and the call that this thread waits for."""
    calls = Calls()
    answer = Answer(calls, threading.RLock())
    answer.call, answer.thread, answer.answerer = calls.begin_aside(b"", 0, 0.0), threading.get_ident(), "server"
    return answer, answer.call


def test_an_answer_is_taken_by_the_thread_that_waits_for_it_alone(waiting):
    answer, call = waiting
    assert not elsewhere(answer.claim, "server", seal(RESULT, 1))
    assert not answer.claim("server", seal(RESULT, 2))
    assert not answer.claim("server", b"garbage")
    assert call.outcome is None
    assert answer.claim("server", seal(RESULT, 1, b"x"))
    assert call.outcome == (RESULT, 0, b"x")


def test_what_another_says_is_dropped_whoever_reads_it(waiting):
    answer, call = waiting
    assert answer.claim("another", seal(RESULT, 1))
    assert elsewhere(answer.claim, "another", seal(RESULT, 1))
    answer.call = None
    assert answer.claim("another", seal(RESULT, 1))
    assert (call.outcome, answer._dropped) == (None, {"forged": 3})


def test_while_nobody_waits_nothing_is_taken(waiting):
    answer, call = waiting
    answer.call = None
    assert not answer.claim("server", seal(RESULT, 1))
    assert call.outcome is None


def test_requests_are_found_by_the_thread_that_reads_and_by_no_other():
    duties = Duties("arm", None)
    duties.join("a")
    requests = Requests(duties, threading.RLock())
    assert not requests.claim("a", seal(CALL, 1))
    requests.thread = threading.get_ident()
    assert not elsewhere(requests.claim, "a", seal(CALL, 1))
    assert requests.claim("a", seal(CALL, 1, b"x"))
    assert requests.claim("a", seal(CALL, 1, b"x"))  # nothing is to be done
    (job,) = requests.found
    assert isinstance(job, Job)
    assert (job.number, job.body, job.aside) == (1, b"x", True)
