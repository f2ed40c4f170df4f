"""What the flows of one subscriber share."""

from __future__ import annotations

from ipcpy.subscribing.inbox import Inbox
from ipcpy.subscribing.intake import Intake
from ipcpy.timeouts import NEVER
from receiving import Socket


def intake(**options):
    return Intake(7, Socket(capacity=5_000), Inbox(3), lambda: None, **options)


def test_the_earliest_time_counts():
    shared = intake()
    assert shared.timer == NEVER
    shared.by(5.0)
    shared.by(9.0)
    assert shared.timer == 5.0
    shared.by(2.0)
    assert shared.timer == 2.0


def test_the_window_is_what_the_socket_holds():
    assert intake().window == 5_000


def test_each_subscriber_has_a_secret_of_its_own():
    assert intake().secret != intake().secret


def test_drops_are_those_of_the_sockets_there_are():
    shared = intake()
    group = Socket()
    shared.sockets.append(group)
    group.dropped = 2
    assert shared.losses.drops() == 2
    shared.sockets.remove(group)
    assert shared.losses.drops() == 0
