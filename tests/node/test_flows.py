"""Flows: both halves joined with the graph, rates of two readings, and sentences about what does not come."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ipcpy.graph import EndpointInfo, NodeInfo, TopicInfo
from ipcpy.node.flows import Flows
from ipcpy.protocol.link.rows import (
    DROPPED,
    PUBLISHED,
    RECEIVED,
    SENT,
    Dropped,
    Latency,
    Published,
    Received,
    Sent,
    Step,
    Way,
)

CAM = NodeInfo("0" * 15 + "a", "cam", "pi", 7, "d", "10.0.0.1:17770", "1", "alive", 0.0)
LOG = NodeInfo("0" * 15 + "b", "log", "nuc", 8, "d", "10.0.0.2:17770", "1", "alive", 0.0)
PUB = EndpointInfo(f"{1:016x}", "publisher", "imu", "raw", {}, False, 0, CAM)
SUB = EndpointInfo(f"{2:016x}", "subscriber", "imu", "any", {}, False, 0, LOG)


def topic(publisher=PUB, subscribers=(SUB,)):
    return TopicInfo("imu", "raw", {}, (publisher,), subscribers)


def sent(messages=10, size=40, *, step=0, way=Way.UNICAST, queued=0):
    return Sent(SENT, 1, 2, step, way, messages, size, 0, queued)


def received(messages=10, size=40, *, step=0, queued=0, lost=None, latency=None, late=0):
    return Received(RECEIVED, 1, 2, step, messages, size, queued, late, lost or {}, latency)


class Told:
    """What two nodes tell, each by its own clock."""

    def __init__(self):
        self.flows = Flows()

    def tell(self, *rows, at=0.0, now=0.0):
        publisher = [row for row in rows if isinstance(row, Sent | Published)]
        self.flows.take(publisher, {1}, 1_000 + at, now)
        self.flows.take([row for row in rows if row not in publisher], {2}, 5_000 + at, now)

    def flow(self, now=0.0, topics=None):
        (flow,) = self.flows.join(topics or [topic()], now)
        return flow


@pytest.fixture
def told():
    return Told()


def test_a_pair_of_which_nothing_was_told_is_a_flow_that_knows_nothing(told):
    flow = told.flow()
    assert (flow.topic, flow.publisher, flow.subscriber, flow.way) == ("imu", PUB, SUB, "")
    assert (flow.sent, flow.received, flow.published, flow.rate, flow.latency_p50) == (None,) * 5
    assert flow.age == math.inf and flow.why == ""


def test_both_halves_are_joined(told):
    latency = Latency(0.001, 0.002, 0.003, 0.0001)
    whole = received(9, 36, queued=4, lost={"network": 1}, latency=latency, late=2)
    told.tell(Published(PUBLISHED, 1, 12, 48), sent(10, 40, queued=3), whole, Dropped(DROPPED, 2, {"malformed": 5}))
    flow = told.flow(now=0.25)
    assert (flow.published, flow.sent, flow.sent_bytes, flow.received, flow.received_bytes) == (12, 10, 40, 9, 36)
    assert (flow.lost, flow.dropped, flow.queued, flow.late) == ({"network": 1}, {"malformed": 5}, 7, 2)
    assert (flow.latency_min, flow.latency_p50, flow.latency_p99, flow.latency_bound) == latency
    assert (flow.sent_at, flow.received_at, flow.age) == (1_000, 5_000, 0.25)


@pytest.mark.parametrize(
    ("way", "said"),
    [
        (Way.NONE, ""),
        (Way.UNICAST, "unicast"),
        (Way.LOOPBACK, "loopback"),
        (Way.MULTICAST, "multicast"),
        (Way.SHARED, "shared memory"),
        (77, ""),
    ],
)
def test_the_way_is_said_in_words(told, way, said):
    told.tell(sent(way=way))
    assert told.flow().way == said


def test_a_publisher_that_nobody_subscribes_to_is_a_flow_to_nobody(told):
    told.tell(Published(PUBLISHED, 1, 12, 0))
    flow = told.flow(topics=[topic(subscribers=())])
    assert (flow.subscriber, flow.published, flow.sent, flow.age) == (None, 12, 0, 0.0)
    assert flow.why == "Nobody subscribes to 'imu'."


def test_rates_are_those_between_two_readings_by_the_clock_of_the_node_that_counted(told):
    told.tell(sent(10), received(10, 100), at=0.0)
    assert told.flow().rate is None
    told.tell(sent(30), received(25, 250, lost={"network": 5}), at=0.5, now=1.0)
    flow = told.flow(now=1.5)
    assert (flow.rate, flow.bandwidth, flow.loss) == (30.0, 300.0, 0.25)
    assert flow.why == "5 lost since the reading before: network, they did not reach its host."


def test_where_the_subscriber_tells_nothing_the_rate_is_that_of_what_was_sent(told):
    told.tell(sent(10, 100))
    told.tell(sent(20, 200), at=2.0)
    flow = told.flow()
    assert (flow.rate, flow.bandwidth, flow.loss, flow.received) == (5.0, 50.0, 0.0, None)


def test_two_readings_too_close_together_make_no_rate_of_their_own(told):
    told.tell(received(0))
    told.tell(received(100), at=1.0)
    told.tell(received(104), at=1.05)
    assert told.flow().rate == 100.0
    told.tell(received(200), at=2.0)
    assert told.flow().rate == 100.0


def test_counts_that_began_anew_make_no_rate(told):
    told.tell(received(100))
    told.tell(received(200), at=1.0)
    told.tell(received(5), at=2.0)
    assert told.flow().rate is None
    told.tell(received(15), at=3.0)
    assert told.flow().rate == 10.0


def test_messages_that_came_and_then_got_too_old_are_lost_and_the_rate_goes_on(told):
    told.tell(received(60, 600, queued=60))
    told.tell(received(20, 700, queued=10, lost={"too old": 50}), at=1.0)
    flow = told.flow()
    assert (flow.rate, flow.bandwidth, flow.loss) == (0.0, 100.0, 1.0)
    told.tell(received(30, 900, queued=20, lost={"too old": 60}), at=2.0)
    flow = told.flow()
    assert (flow.rate, flow.bandwidth, flow.loss) == (10.0, 200.0, 0.5)


def test_a_burst_that_is_on_its_way_while_both_count_has_not_vanished(told):
    for second, (gone, came) in enumerate([(0, 0), (10, 10), (10, 10), (20, 10), (20, 20), (30, 20)]):
        told.tell(sent(gone), received(came), at=second, now=second)
        assert told.flow(now=second).why == ""
    told.tell(sent(40), received(20), at=6.0, now=6.0)
    told.tell(sent(50), received(20), at=7.0, now=7.0)
    assert told.flow(now=7.0).why.startswith("10 sent since the reading before, and nothing has come")


def test_what_is_published_to_nobody_has_a_rate_and_no_bytes(told):
    alone = [topic(subscribers=())]
    told.tell(Published(PUBLISHED, 1, 100, 0))
    assert told.flow(topics=alone).rate is None
    told.tell(Published(PUBLISHED, 1, 150, 0), at=2.0, now=2.0)
    flow = told.flow(now=2.0, topics=alone)
    assert (flow.subscriber, flow.published, flow.rate, flow.bandwidth, flow.loss) == (None, 150, 25.0, None, None)
    assert told.flow(now=5.0, topics=alone).rate is None


def test_a_silent_topic_has_a_rate_of_zero_and_no_loss(told):
    told.tell(received(7))
    told.tell(received(7), at=1.0)
    assert (told.flow().rate, told.flow().loss) == (0.0, 0.0)


def test_what_was_lost_and_came_late_after_all_is_no_loss(told):
    told.tell(received(10, lost={"network": 5}))
    told.tell(received(25, lost={"network": 0}), at=1.0)
    assert (told.flow().loss, told.flow().why) == (0.0, "")


def test_a_node_can_tell_only_of_its_own(told):
    told.flows.take([sent(), Published(PUBLISHED, 1, 5, 5)], {3}, 0.0, 0.0)
    told.flows.take([received(), Dropped(DROPPED, 2, {"malformed": 1})], {1}, 0.0, 0.0)
    flow = told.flow()
    assert (flow.sent, flow.published, flow.received, flow.dropped) == (None, None, None, {})


def test_what_a_silent_node_told_last_stays_and_grows_old(told):
    told.tell(sent(10), received(10), now=100.0)
    told.flows.take([sent(20)], {1}, 1_003.0, 103.0)
    flow = told.flow(now=103.0)
    assert (flow.sent, flow.received, flow.age) == (20, 10, 3.0)


def test_how_fast_and_how_late_a_silent_node_was_is_not_how_it_is_now(told):
    latency = Latency(0.1, 0.2, 0.3, 0.0)
    told.tell(received(10), now=100.0)
    told.tell(received(20, lost={"inbox": 5}, latency=latency), at=1.0, now=101.0)
    assert (told.flow(now=102.5).rate, told.flow(now=102.5).latency_p50) == (10.0, 0.2)
    flow = told.flow(now=104.0)
    assert (flow.rate, flow.bandwidth, flow.loss, flow.latency_p50, flow.why) == (None, None, None, None, "")
    assert (flow.received, flow.lost) == (20, {"inbox": 5})


def test_the_age_is_that_of_the_older_half_that_was_told(told):
    told.tell(sent(), now=100.0)
    assert told.flow(now=101.0).age == 1.0


def test_what_is_there_no_more_is_forgotten(told):
    told.tell(sent(), received())
    assert told.flows.join([], 0.0) == ()
    assert told.flow().sent is None


# -- why ---------------------------------------------------------------------------------------------------------------


def test_where_all_is_well_there_is_nothing_to_say(told):
    told.tell(sent(), received())
    assert told.flow().why == ""


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (sent(step=Step.PROBING), "Subscriber 'log' on nuc (10.0.0.2:17770): the publisher has challenged it, and no"),
        (sent(step=Step.STARTING), "that it is ready has not come yet."),
        (sent(step=Step.NO_WAY), "knows no way there."),
        (received(step=Step.SILENT), "Publisher 'cam' on pi (10.0.0.1:17770): the subscriber knows it, but nothing"),
        (received(step=Step.ANSWERED), "its START has not come yet."),
        (sent(step=Step.DIFFER), "The types differ: the subscriber does not say how."),
        (received(step=Step.MISFIT), "The types differ: the subscriber does not say how."),
    ],
)
def test_what_is_in_the_way_is_said(told, row, words):
    told.tell(row)
    assert words in told.flow().why


def test_how_the_types_differ_is_said(told):
    told.tell(received(step=Step.MISFIT))
    differing = replace(SUB, mismatch=("field x: float64 here, float32 there",))
    assert (
        told.flow(topics=[topic(subscribers=(differing,))]).why
        == "The types differ: field x: float64 here, float32 there."
    )


def test_a_process_that_does_not_answer_is_said(told):
    told.tell(sent(), received())
    stopped = replace(SUB, node=replace(LOG, state="unresponsive", age=4.0))
    why = told.flow(topics=[topic(subscribers=(stopped,))]).why
    assert why.startswith(
        "Subscriber 'log' on nuc (10.0.0.2:17770): matched, but its process has not answered for 4.0 s"
    )


def test_steps_and_causes_of_a_later_version_do_no_harm(told):
    told.tell(sent(step=99), received(step=99))
    told.tell(sent(step=99), received(lost={"gremlins": 3}, step=99), at=1.0)
    assert told.flow().why == "3 lost since the reading before: gremlins."


def test_hidden_flows_keep_their_books_while_only_the_others_are_asked_for(told):
    own = replace(PUB, topic="@ipcpy/service/add/1")
    topics = [TopicInfo(own.topic, "raw", {}, (own,), (SUB,))]
    told.tell(sent(10), received(10))
    assert told.flows.join(topics, 0.0, hidden=False) == ()
    assert told.flow(topics=topics).received == 10


def test_what_is_sent_and_never_comes_is_said(told):
    told.tell(sent(10), received(10))
    told.tell(sent(12), received(10), at=1.0)
    assert told.flow().why == ""  # they may be on their way
    told.tell(sent(30), received(10), at=2.0)
    assert told.flow().why.startswith("18 sent since the reading before, and nothing has come: is a firewall between")
    told.tell(sent(40), received(30), at=3.0)
    assert told.flow().why == ""
