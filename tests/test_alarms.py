"""What a signal handler raises is told from what the system refuses."""

from __future__ import annotations

import errno
import threading

import pytest

from ipcpy.alarms import Refusals, is_alarm, raise_alarm


@pytest.mark.parametrize("error", [TimeoutError(), TimeoutError("too late"), type("Late", (TimeoutError,), {})("x")])
def test_a_timeout_error_without_a_number_is_an_alarm_and_is_raised(error):
    assert is_alarm(error)
    with pytest.raises(TimeoutError) as raised, Refusals():
        raise error
    assert raised.value is error
    with pytest.raises(TimeoutError):
        raise_alarm(error)


@pytest.mark.parametrize(
    "error",
    [OSError(), TimeoutError(errno.ETIMEDOUT, "x"), BlockingIOError(errno.EAGAIN, "x"), ConnectionRefusedError()],
)
def test_what_the_system_refuses_is_no_alarm_and_ends_the_block_without_an_error(error):
    assert not is_alarm(error)
    raise_alarm(error)
    with Refusals():
        raise error


def test_other_errors_are_raised_and_none_is_no_alarm():
    assert not is_alarm(None) and not is_alarm(KeyboardInterrupt())
    with pytest.raises(ValueError, match="wrong"), Refusals():
        raise ValueError("wrong")
    with Refusals():
        pass


def test_no_other_thread_has_alarms():
    told = []
    thread = threading.Thread(target=lambda: told.append(is_alarm(TimeoutError())))
    thread.start()
    thread.join(20)
    assert told == [False]
