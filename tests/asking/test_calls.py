"""The client's calls, and both state machines against each other in any weather."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ipcpy.asking import envelope
from ipcpy.asking.calls import AGAIN_AFTER, ASK_AFTER, GONE, MAX_STEPS, MAX_UNREAD, WARY, Calls
from ipcpy.asking.duties import Cancel, Duties, Job, Tell
from ipcpy.asking.envelope import ASK, CALL, CANCEL, LOST, RESULT, STEP, pack_lost, seal, unseal

# The client's side by itself


def begun(calls, flags=0):
    """Return a call whose request is on the way."""
    call = calls.begin(0.0, flags)
    call.sent()
    return call


def test_an_answer_ends_its_call_and_no_other():
    calls = Calls()
    first, second = begun(calls), begun(calls)
    assert calls.arrived(seal(RESULT, 2, b"two"), 1, 0.0) == []
    assert first.outcome is None
    assert second.outcome == (RESULT, 0, b"two")
    assert list(calls.open) == [1]


def test_an_answer_that_nobody_waits_for_is_counted_by_cause():
    calls = Calls()
    call = begun(calls)
    calls.arrived(seal(RESULT, 1), 1, 0.0)
    calls.arrived(seal(RESULT, 1), 2, 0.0)
    calls.arrived(seal(RESULT, 99), 3, 0.0)
    calls.arrived(b"garbage", 4, 0.0)
    calls.arrived(seal(envelope.CALL, 1), 5, 0.0)
    calls.arrived(seal(LOST, 1, b"short"), 6, 0.0)
    assert call.outcome is not None
    assert calls.dropped == {"late": 1, "unknown": 1, "malformed": 3}


def test_a_gap_in_the_answers_has_the_server_asked_about_every_open_call():
    calls = Calls()
    for _ in range(3):
        begun(calls)
    assert calls.arrived(seal(RESULT, 1), 5, 0.0) == []  # the first that came is no gap
    asks = [unseal(each) for each in calls.arrived(seal(RESULT, 2), 7, 1.0)]
    assert [(ask.kind, ask.number) for ask in asks] == [(ASK, 3)]
    assert calls.arrived(seal(STEP, 3, step=1), 8, 1.0) == []


def test_a_call_without_a_word_is_asked_for_again_and_again():
    calls = Calls()
    begun(calls)
    assert calls.due(ASK_AFTER - 0.1) == []
    assert len(calls.due(ASK_AFTER)) == 1
    assert calls.due(ASK_AFTER + 0.1) == []
    assert len(calls.due(2 * ASK_AFTER)) == 1
    calls.restart()
    assert len(calls.due(2 * ASK_AFTER)) == 1  # the answers come from elsewhere now: at once


def test_what_the_server_says_is_lost_is_over():
    calls = Calls()
    made = [begun(calls) for _ in range(4)]
    calls.arrived(seal(LOST, 3, pack_lost(2)), 1, 0.0)
    assert [call.outcome and call.outcome.kind for call in made] == [None, LOST, LOST, None]


def test_steps_come_in_order_and_what_is_missing_is_counted():
    calls = Calls()
    call = begun(calls, envelope.STEPS)
    for seq, step in enumerate([1, 2, 2, 5], 1):
        calls.arrived(seal(STEP, 1, bytes([step]), step=step), seq, 0.0)
    assert [bytes(body) for body in call.steps] == [b"\1", b"\2", b"\5"]
    assert call.missed == 2
    assert calls.dropped == {"repeated": 1}


def test_of_steps_that_nobody_takes_the_newest_are_kept():
    calls = Calls()
    call = begun(calls)
    for step in range(1, MAX_STEPS + 11):
        calls.arrived(seal(STEP, 1, b"", step=step), step, 0.0)
    assert (len(call.steps), call.missed) == (MAX_STEPS, 10)


def test_of_large_steps_that_nobody_takes_fewer_are_kept():
    calls = Calls()
    call = begun(calls)
    body = bytes(MAX_UNREAD // 8)
    for step in range(1, 12):
        assert call.add(step, body)
    assert (len(call.steps), call.missed) == (8, 3)
    assert call.add(12, bytes(2 * MAX_UNREAD))  # the newest is kept, whatever it has
    assert (len(call.steps), call.missed) == (1, 11)


def test_nothing_overtakes_a_request_that_is_still_being_sent():
    calls = Calls()
    first, second = begun(calls), calls.begin(0.0)
    assert calls.arrived(seal(STEP, 1, step=1), 1, 0.0) == []
    asks = [unseal(each).number for each in calls.arrived(seal(STEP, 1, step=3), 3, 0.0)]
    assert asks == [first.number]
    calls.restart()
    assert [unseal(each).number for each in calls.due(ASK_AFTER)] == [first.number]
    second.sent()
    assert [unseal(each).number for each in calls.due(ASK_AFTER + 0.1)] == [second.number]


def test_a_call_that_is_given_up_is_cancelled_once_and_its_answer_is_late():
    calls = Calls()
    call = begun(calls)
    (told,) = calls.give_up(call)
    assert unseal(told)[:2] == (CANCEL, 0)
    assert calls.give_up(call) == []
    assert calls.cancel(call) == []
    calls.arrived(seal(RESULT, 1), 1, 0.0)
    assert (call.given_up, calls.dropped["late"]) == (True, 1)


def test_a_call_that_is_cancelled_is_waited_for_still():
    calls = Calls()
    call = begun(calls)
    (told,) = calls.cancel(call)
    assert unseal(told)[:2] == (CANCEL, envelope.WAITS)
    calls.arrived(seal(RESULT, 1, b"", flags=envelope.CANCELLED), 1, 0.0)
    assert call.outcome.flags == envelope.CANCELLED


def test_an_answer_in_two_pieces_is_put_together():
    calls = Calls()
    call = begun(calls)
    calls.arrived(seal(envelope.PART, 1, b"ab"), 1, 0.0)
    calls.arrived(seal(RESULT, 1, b"cd"), 2, 0.0)
    assert call.outcome.body == b"abcd"


def test_all_calls_end_with_their_server():
    calls = Calls()
    made = [begun(calls) for _ in range(3)]
    calls.fail("process died")
    assert {call.outcome for call in made} == {(GONE, 0, "process died")}
    assert calls.open == {}


def test_a_request_that_went_aside_comes_by_the_topic_if_no_answer_comes_soon():
    calls = Calls()
    call = calls.begin_aside(b"go", 0, 1.0)
    sealed = call.aside
    assert unseal(sealed) == (CALL, 0, 0, 1, b"go")
    assert calls.due(1.0 + AGAIN_AFTER / 2) == []
    assert calls.due(1.0 + AGAIN_AFTER) == [sealed]
    assert calls.due(1.0 + ASK_AFTER) == []
    (ask,) = calls.due(1.0 + AGAIN_AFTER + ASK_AFTER)
    assert unseal(ask)[0] == ASK


def test_after_a_request_that_had_to_come_again_some_go_by_the_topic():
    calls = Calls()
    calls.begin_aside(b"", 0, 0.0)
    assert calls.wary == 0
    calls.due(AGAIN_AFTER)
    for left in range(WARY, 0, -1):
        assert calls.wary == left
        calls.begin(0.0)
    assert calls.wary == 0
    calls.begin(0.0)
    assert calls.wary == 0


def test_a_gap_in_the_answers_has_a_request_that_went_aside_come_by_the_topic():
    calls = Calls()
    begun(calls)
    sealed = calls.begin_aside(b"", 0, 0.0).aside
    calls.arrived(seal(STEP, 1, step=1), 1, 0.0)
    asks = calls.arrived(seal(STEP, 1, step=3), 3, 0.0)
    assert [unseal(each)[0] for each in asks] == [ASK, CALL]
    assert asks[1] == sealed


def test_each_request_says_which_calls_are_over():
    calls = Calls()
    first, second = calls.begin_aside(b"", 0, 0.0), begun(calls)
    calls.arrived(seal(RESULT, 2), 0, 0.0)
    third = calls.begin_aside(b"", 0, 0.0)
    calls.arrived(seal(RESULT, 1), 0, 0.0)
    fourth = calls.begin_aside(b"", 0, 0.0)
    requests = [first.aside, *second.request(b""), third.aside, fourth.aside]
    assert [unseal(each).step for each in requests] == [0, 1, 2, 1]


def test_the_one_answer_that_is_waited_for_is_taken_with_few_calls_and_no_other_is():
    calls = Calls()
    call, other = calls.begin_aside(b"", 0, 0.0), calls.begin_aside(b"", 0, 0.0)
    for data in (b"", seal(RESULT, 2), seal(LOST, 1, pack_lost(1)), seal(envelope.CALL, 1), seal(RESULT, 9)):
        assert not calls.answered(call, data)
    assert calls.answered(call, seal(RESULT, 1, b"done"))
    assert call.outcome == (RESULT, 0, b"done")
    assert not calls.answered(call, seal(RESULT, 1, b"again"))
    assert (list(calls.open), calls.counts().answered) == ([other.number], 1)


# Both sides, with everything that a network, a scheduler and a crash can do between them


class World:
    """One client and one server, which may be exchanged for new ones; messages on their way in both directions."""

    def __init__(self):
        self.now = 0.0
        self.done = Counter()  # how often each call was executed, by (client, number)
        self.made = []  # every call, with the client that made it
        self.gone = []  # the calls of clients that are there no more
        self.clients = 0
        self.new_client()
        self.new_server()

    def new_client(self):
        self.clients += 1
        self.client = f"client{self.clients}"
        self.calls = Calls()
        self.seq = 0
        self.asked, self.answered = [], []
        self.asides, self.back = [], []  # what is on its way aside

    def new_server(self):
        self.duties = Duties("arm", None)
        self.jobs = []
        self.seq = 0

    def restart_client(self):
        self.calls.fail("this process died")
        for job in self.duties.leave(self.client):
            self.jobs.remove(job)
        self.new_client()
        self.duties.join(self.client)

    def restart_server(self):
        """Exchange the server: what is on its way reaches nobody, and the graph tells the client."""
        self.calls.fail("process died")
        self.clients += 1
        self.client = f"client{self.clients}"  # a new line, with a new publisher of requests
        self.calls = Calls()
        self.asked, self.answered = [], []
        self.asides, self.back = [], []
        self.new_server()
        self.duties.join(self.client)

    def call(self):
        call = self.calls.begin(self.now)
        self.made.append(call)
        self.asked += [(self.client, each) for each in call.request(b"go")]
        call.sent()

    def call_aside(self):
        call = self.calls.begin_aside(b"go", 0, self.now)
        self.made.append(call)
        self.asides.append((self.client, call.aside))

    def give_up(self, choice):
        if self.calls.open:
            call = list(self.calls.open.values())[choice % len(self.calls.open)]
            self.asked += [(self.client, each) for each in self.calls.give_up(call)]
            self.made.remove(call)  # who gave it up waits for nothing

    def deliver_request(self, choice, *, keep=False, aside=False):
        asked = self.asides if aside else self.asked
        if not asked:
            return
        at = choice % len(asked)
        client, data = asked[at] if keep else asked.pop(at)
        for each in self.duties.arrived(client, bytes(data), aside=aside):
            if isinstance(each, Job):
                self.done[client, each.number] += 1
                self.jobs.append(each)
            elif isinstance(each, Tell):
                self.answer(each.data)
            else:
                assert isinstance(each, Cancel)

    def answer(self, data):
        self.seq += 1
        self.answered.append((self.seq, bytes(data)))

    def finish(self, choice):
        if self.jobs:
            job = self.jobs.pop(choice % len(self.jobs))
            data = seal(RESULT, job.number, b"done")
            wanted = self.duties.finished(job, data if choice % 4 else None)  # some answers are too large to go aside
            if job.aside:
                self.back.append(data)
            elif wanted:
                self.answer(data)
                self.duties.told(job)

    def deliver_aside(self, choice, *, keep=False):
        self.deliver_request(choice, keep=keep, aside=True)

    def deliver_back(self, choice, *, keep=False):
        if self.back:
            at = choice % len(self.back)
            data = self.back[at] if keep else self.back.pop(at)
            self.asked += [(self.client, each) for each in self.calls.arrived(data, 0, self.now)]

    def deliver_answer(self, choice, *, keep=False):
        if self.answered:
            at = choice % len(self.answered)
            seq, data = self.answered[at] if keep else self.answered.pop(at)
            self.asked += [(self.client, each) for each in self.calls.arrived(data, seq, self.now)]

    def tick(self):
        self.now += 1.0
        self.asked += [(self.client, each) for each in self.calls.due(self.now)]


STEPS = [
    "call", "give_up", "deliver_request", "double_request", "lose_request", "finish", "deliver_answer",
    "double_answer", "lose_answer", "tick", "restart_client", "restart_server", "call_aside", "deliver_aside",
    "double_aside", "lose_aside", "deliver_back", "double_back", "lose_back",
]  # fmt: skip


def play(world, steps):
    for what, choice in steps:
        if what.startswith("double_"):
            getattr(world, what.replace("double", "deliver"))(choice, keep=True)
        elif what == "lose_request":
            world.asked and world.asked.pop(choice % len(world.asked))
        elif what == "lose_answer":
            world.answered and world.answered.pop(choice % len(world.answered))
        elif what in ("lose_aside", "lose_back"):
            ways = world.asides if what == "lose_aside" else world.back
            ways and ways.pop(choice % len(ways))
        elif what in ("call", "call_aside", "tick", "restart_client", "restart_server"):
            getattr(world, what)()
        else:
            getattr(world, what)(choice)


@settings(max_examples=400)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 30)), max_size=80))
def test_whatever_happens_a_call_is_done_at_most_once_and_ends(steps):
    world = World()
    world.duties.join(world.client)
    play(world, steps)
    for _ in range(40):  # then the weather is fair, and time passes
        world.tick()
        while world.asked or world.jobs or world.answered or world.asides or world.back:
            world.deliver_aside(0)
            world.deliver_request(0)
            world.finish(0)
            world.deliver_answer(0)
            world.deliver_back(0)
    assert all(count == 1 for count in world.done.values())
    assert all(call.outcome is not None for call in world.made)
    assert (world.calls.open, world.duties.open) == ({}, 0)


@settings(max_examples=200)
@given(st.integers(1, 20), st.integers())
def test_without_restarts_every_call_whose_messages_come_is_answered(count, seed):
    random = Random(seed)
    world = World()
    world.duties.join(world.client)
    for _ in range(count):
        world.call()
        while random.random() < 0.5:
            world.deliver_request(0)  # in order, as a reliable topic has them
            world.finish(random.randrange(5))
            world.deliver_answer(0)
    while world.asked or world.jobs or world.answered:
        world.deliver_request(0)
        world.finish(random.randrange(5))
        world.deliver_answer(0)
    assert [call.outcome.kind for call in world.made] == [RESULT] * count
    assert sum(world.done.values()) == count


@settings(max_examples=200)
@given(st.integers(1, 30), st.integers())
def test_while_the_server_lives_every_call_is_answered_whatever_is_lost_doubled_and_reordered_aside(count, seed):
    random = Random(seed)
    world = World()
    world.duties.join(world.client)

    def go_on():
        """Do one step; what goes by the topics arrives, in order."""
        step = random.choice(("deliver_aside", "deliver_back", "lose_aside", "lose_back", "topic", "finish", "tick"))
        if step == "topic":
            world.deliver_request(0)
            world.deliver_answer(0)
        elif step == "tick":
            world.now += random.choice((0.0, AGAIN_AFTER))
            world.asked += [(world.client, each) for each in world.calls.due(world.now)]
        elif step == "finish":
            world.finish(random.randrange(5))
        else:
            choice = random.randrange(30)
            if step.startswith("deliver_") and random.random() < 0.2:
                step = step.replace("deliver", "double")
            play(world, [(step, choice)])

    for _ in range(count):
        random.choice((world.call, world.call_aside, world.call_aside))()
        while random.random() < 0.7:
            go_on()
    for _ in range(100_000):
        if not world.calls.open:
            break
        go_on()
    assert [call.outcome.kind for call in world.made] == [RESULT] * count
    assert sum(world.done.values()) == count
    assert max(world.done.values()) == 1
