"""The link, on a network in memory: matching, convergence, silence, restarts, paths, gossip, traffic."""

from __future__ import annotations

import pytest

from ipcpy.protocol.link.entries import NodeEntry, PublisherEntry, pack_entry
from ipcpy.protocol.link.link import (
    EntryChanged,
    Link,
    PeerFound,
    PeerLost,
    PeerMoved,
    PeerResumed,
    PeerReturned,
    PeerStalled,
    Timing,
)
from ipcpy.protocol.wire import Kind, pack_frame
from linknet import Network, Segment, moves, reasons, split


def pair(net: Network, **options):
    a, b = net.node(topics=2), net.node(topics=3)
    net.run(1, net.whole)
    return a, b


def intercepted(net: Network):
    """Have nothing arrive any more; return the list that datagrams, and where they came from, are put into instead."""
    taken = []
    net.carry = lambda segment, data, source, to: taken.append((data, source))
    return taken


# -- matching and convergence ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pause", [0.0, 0.0001, 0.03, 5.0])
def test_two_nodes_match_in_milliseconds_whoever_starts_first(pause):
    net = Network()
    net.node(topics=3)
    net.run(pause)
    net.node(topics=1)
    assert net.run(1, net.whole) < 0.005


def test_found_comes_first_and_every_entry_once():
    net = Network()
    a = net.node()
    b = net.node(topics=5)
    net.run(3)
    assert isinstance(a.events[0][1], PeerFound)
    assert a.events[0][1].entry == b.entry
    assert [event.entry_id for event in a.what(EntryChanged)] == [id for id in b.own()]
    assert a.link.peers[b.link.id].complete


@pytest.mark.parametrize(("topics", "limit"), [(1, 1.0), (1000, 8.0)])
@pytest.mark.parametrize("seed", [1, 2])
def test_tables_converge_under_loss_duplication_and_disorder(topics, limit, seed):
    net = Network(seed, loss=0.3, duplicate=0.1, jitter=0.02)
    a, b = net.node(topics=topics), net.node(topics=topics)
    assert net.run(limit, net.whole) < limit
    for at in range(20):
        a.put(**{f"n{at + 1}": f"new/{at}"})
        b.put(**{f"n{at % 3 + 1}": f"changed/{at}"})
        net.run(0.05)
    for at in range(0, 20, 2):
        a.put(**{f"n{at + 1}": None})
    net.run(limit, net.whole)
    assert reasons(a) == reasons(b) == []
    net.run(5)
    assert not a.link.table.removals, "removals are forgotten once all peers know"


def test_a_thousand_entries_cost_few_datagrams_without_loss():
    net = Network()
    net.node()
    net.run(5)
    before = net.datagrams
    b = net.node(topics=1000)
    assert net.run(1, net.whole) < 0.05
    assert net.datagrams - before < 200
    assert b.sent[Kind.TABLE] < 90


@pytest.mark.parametrize(("nodes", "hosts"), [(100, 100), (40, 1)])
def test_a_hundred_nodes_of_ten_topics_know_each_other(nodes, hosts):
    net = Network(watching=True)
    where = [net.host() for _ in range(hosts)]
    for at in range(nodes):
        net.node(where[at % hosts], topics=10)
    assert net.run(3, net.met) < 0.1
    net.run(0.01)
    assert net.whole()
    assert net.datagrams < 22 * nodes * (nodes - 1) / 2, "per pair"
    newcomer = net.node(topics=10)
    assert net.run(1, lambda: len(newcomer.tables) == nodes and net.met()) < 0.1


@pytest.mark.parametrize(("nodes", "watched", "most"), [(2, 0, 11), (10, 0, 360), (40, 0, 6_000), (40, 1, 2_000)])
def test_idle_traffic_is_bounded(nodes, watched, most):
    """Datagrams a second in all: N (N - 1) / max(0.3, min(N / 150, 0.8)), or N (N - 1) on one host; and few HELLOs."""
    net = Network(watching=bool(watched))
    host = net.host()
    for _ in range(nodes):
        net.node(host if watched else None)
    net.run(3, net.met)
    net.run(2)
    before = net.datagrams
    net.run(3)
    assert (net.datagrams - before) / 3 < most


def test_a_watched_heartbeat_is_slow_and_wakes_the_node_seldom():
    net = Network(watching=True)
    host = net.host()
    nodes = [net.node(host) for _ in range(60)]
    net.run(3, net.met)
    net.run(3)
    sent, since = nodes[0].sent[Kind.ALIVE], net.now
    net.run(5)
    assert 59 * 4.5 < nodes[0].sent[Kind.ALIVE] - sent < 59 * 6
    assert nodes[0].wakes(Kind.ALIVE, since) / 5 < 40
    assert not any(node.what(PeerStalled) for node in nodes)


def test_heartbeats_to_peers_that_came_one_after_the_other_are_soon_sent_together():
    net = Network()
    a = net.node()
    for _ in range(3):
        net.node()
        net.run(0.1 * Timing().alive)
    net.run(2)
    since = net.now
    net.run(6)
    assert 0 < a.wakes(Kind.ALIVE, since) < 1.5 * 6 / (0.9 * Timing().alive)


def test_a_path_goes_with_our_own_address_where_the_peer_proved_it_and_no_forged_greeting_changes_that():
    one, two = (Link(id, pack_entry(NodeEntry("n", "h", 1, "1", "d")), "d", bytes([id] * 16)) for id in (1, 2))
    here, there = ("10.0.0.201", 1), ("10.0.0.7", 2)

    def exchange():
        """Carry what both want to send until neither does; ``one`` is asked where it greeted from."""
        while True:
            ours, theirs = one.datagrams_to_send(), two.datagrams_to_send()
            if not (ours or theirs):
                return
            for data, _ in ours:
                two.receive_datagram(data, here, 0.0)
            for data, _ in theirs:
                one.receive_datagram(data, there, 0.0, here[0])

    two.hint(here, 0.0)
    two.handle_timer(0.0)
    exchange()
    assert one.addresses[there].paths[there].source == "10.0.0.201"
    stranger = Link(2, pack_entry(NodeEntry("n", "h", 1, "1", "d")), "d", bytes([9] * 16))
    stranger.hint(("10.0.0.1", 1), 0.0)
    stranger.handle_timer(0.0)
    for data, _ in stranger.datagrams_to_send():
        one.receive_datagram(data, there, 0.0, "10.0.0.1")
    assert one.addresses[there].paths[there].source == "10.0.0.201"


def test_tables_that_are_read_together_are_answered_once():
    net = Network()
    a, b = pair(net)
    before = a.sent[Kind.ALIVE]
    taken = intercepted(net)
    for number in range(5):
        b.put(**{f"n{number + 100}": "more"})
    for data, source in taken:
        assert a.link.receive_datagram(data, source, net.now)
    a.flush()
    assert len(taken) >= 5
    assert a.link.peers[b.link.id].complete
    assert a.sent[Kind.ALIVE] == before + 1


def test_a_table_and_an_acknowledgement_to_one_peer_share_a_datagram():
    net = Network()
    a, b = pair(net)
    taken = intercepted(net)

    def change_and_acknowledge(numbers):
        """Have b change its table while it has to acknowledge a change of a's; return what it sends."""
        a.put(**{f"n{numbers[0]}": "more"})
        (change,) = taken
        for number in numbers:
            b.link.table.put(number, b"x" * 100)
        b.link.changed(net.now)
        b.link.receive_datagram(*change, net.now)
        taken.clear()
        b.flush()
        datagrams = [data for data, _ in taken]
        taken.clear()
        return datagrams

    (datagram,) = change_and_acknowledge([9])
    assert [frame[3] for frame in split(datagram)] == [Kind.TABLE, Kind.ALIVE]
    datagrams = change_and_acknowledge(range(100, 200))
    assert len(datagrams) > 8
    assert all(len(data) <= 1_472 for data in datagrams), "what Ethernet carries"


def test_who_said_goodbye_is_owed_no_answer():
    net = Network()
    a, b = pair(net)
    before = a.sent[Kind.ALIVE]
    taken = intercepted(net)
    b.put(n100="more")
    b.close()
    for data, source in taken:
        a.link.receive_datagram(data, source, net.now)
    a.flush()
    assert reasons(a) == ["closed"]
    assert a.sent[Kind.ALIVE] == before


def test_a_heartbeat_that_repeats_the_last_one_says_nothing_but_that_the_peer_lives():
    net = Network()
    a, b = pair(net)
    net.run(3)
    link, beats = a.link, []
    net.carry = lambda segment, data, source, to: to is a and data[3] == Kind.ALIVE and beats.append((data, source))
    while not beats:
        net.run(0.1)
    peer = link.peers[b.link.id]
    data, source = beats[0]
    before = peer.heard
    assert not link.receive_datagram(data, source, net.now)
    assert peer.heard == net.now > before
    stranger = (source[0], source[1] + 1)
    assert link.receive_datagram(data, stranger, net.now)
    assert link.dropped["unknown"] == 1
    peer.stalled = True
    assert link.receive_datagram(data, source, net.now)
    assert not peer.stalled


# -- ends --------------------------------------------------------------------------------------------------------------


def test_goodbye_is_heard_at_once():
    net = Network()
    a, b = pair(net)
    b.close()
    net.run(0.01)
    assert reasons(a) == ["closed"]
    assert not a.link.peers
    assert not a.link.addresses
    assert b.link.next_timer() == float("inf")


def test_a_closed_link_is_mute():
    net = Network()
    a, b = pair(net)
    a.link.greet(net.now)
    a.link.handle_timer(net.now)
    ((hello, _),) = a.link.datagrams_to_send()
    assert hello[3] == Kind.HELLO
    b.link.close()
    b.link.datagrams_to_send()
    b.link.receive_datagram(hello, a.address(), net.now)
    b.link.handle_timer(net.now + 9)
    assert b.link.datagrams_to_send() == []


def test_silence_ends_in_timed_out_within_timing():
    net = Network()
    a, b = pair(net)
    net.run(1.234)
    b.host.dead = True
    since = net.now
    took = net.run(3, lambda: bool(reasons(a)))
    assert reasons(a) == ["timed out"]
    assert 1.9 < took <= Timing().lost + Timing().ask
    stalled = [when for when, event in a.events if isinstance(event, PeerStalled)]
    assert stalled
    assert stalled[0] - since <= Timing().stall + Timing().ask


def test_a_killed_process_is_noticed_by_refusals():
    net = Network()
    a, b = pair(net)
    net.run(1)
    b.kill()
    assert net.run(1, lambda: bool(reasons(a))) < 0.4
    assert reasons(a) == ["process died"]


def test_a_killed_process_among_a_hundred_hosts_is_noticed_within_a_second():
    net = Network()
    nodes = [net.node() for _ in range(60)]
    net.run(2, net.met)
    net.run(1)
    nodes[0].kill()
    assert net.run(2, lambda: all(reasons(node) for node in nodes[1:])) < 1.0


def test_one_forged_refusal_only_causes_a_question():
    net = Network()
    a, b = pair(net)
    for _ in range(50):
        a.link.receive_refusal(b.address(), net.now)
        a.link.receive_refusal(("9.9.9.9", 9), net.now)
        a.flush()
        net.run(0.01)
    net.run(1)
    assert reasons(a) == []


def test_a_process_that_the_system_says_died():
    net = Network(watching=True)
    host = net.host()
    a, b = net.node(host), net.node(host)
    net.run(1, net.whole)
    b.kill()
    assert reasons(a) == ["process died"]
    a.link.process_died(b.link.id, net.now)
    a.link.watch(b.link.id, True)


def hosts_of(net, *sizes):
    """Return the nodes of hosts with so many each, when all know all."""
    found = [[net.node(host) for _ in range(size)] for host, size in ((net.host(), size) for size in sizes)]
    net.run(3, net.met)
    net.run(2)
    return found


@pytest.mark.parametrize(("icmp", "most"), [(True, 0.01), (False, Timing().doubt + Timing().ask)])
def test_who_is_left_on_a_host_tells_others_of_a_killed_process(icmp, most):
    net = Network(watching=True)
    (victim, *left), far = hosts_of(net, 5, 10)
    net.lan.icmp = icmp
    victim.kill()
    assert net.run(2, lambda: all(reasons(node) for node in far)) < most
    assert {reason for node in far for reason in reasons(node)} == {"process died"}
    assert sum(node.sent[Kind.DIED] for node in left) == 2 * len(far), "two tell each"


def test_a_node_of_the_same_process_is_no_witness():
    net = Network(watching=True)
    (victim, twin, *left), far = hosts_of(net, 4, 6)
    for node in left:
        peers = node.link.peers
        peers[twin.link.id].entry = peers[victim.link.id].entry
    twin.stop()  # it has ended too, but nobody knows yet
    victim.kill()
    assert sum(node.sent[Kind.DIED] for node in left) == 2 * len(far)


def test_a_peer_that_names_a_process_that_never_was_makes_nobody_send_to_all():
    net = Network()
    a, *others = [net.node() for _ in range(4)]
    net.run(2, net.met)
    a.link.process_died(others[0].link.id, net.now)
    a.flush()
    assert reasons(a) == ["process died"]
    assert a.sent[Kind.DIED] == 0


def lie(liar, about):
    for peer in [peer for id, peer in liar.link.peers.items() if id != about.link.id]:
        token = peer.paths[peer.address].token
        died = pack_frame(Kind.DIED, liar.link.id, token, 0, about.link.id.to_bytes(8, "little"))
        liar.net.send(liar, died, peer.address)


def test_a_lie_about_a_process_that_lives_causes_few_questions():
    net = Network(watching=True)
    (victim, *liars), (far,) = hosts_of(net, 3, 1)
    before = victim.received
    for _ in range(200):
        for liar in liars:
            lie(liar, victim)
        net.run(0.01)
    assert reasons(far) == []
    assert victim.received - before < 30, "heartbeats and a question per half a second"


@pytest.mark.parametrize("size", [2, 3])
def test_a_lie_does_not_end_a_stopped_process(size):
    net = Network(watching=True)
    (victim, *liars), (far,) = hosts_of(net, size, 1)
    victim.stop()
    net.run(Timing().stall + 0.3)
    for _ in range(100):
        for liar in liars:
            lie(liar, victim)
        net.run(0.002)
    assert far.what(PeerStalled)
    assert reasons(far) == []


def test_one_liar_does_not_end_who_is_only_slow():
    net = Network(watching=True)
    (victim, liar), (far,) = hosts_of(net, 2, 1)
    victim.stop()
    for _ in range(120):
        lie(liar, victim)
        net.run(0.01)
    victim.resume()
    net.run(2)
    assert reasons(far) == []


def test_who_is_on_another_host_cannot_know():
    net = Network(watching=True)
    (victim,), liars, (far,) = hosts_of(net, 1, 3, 1)
    asked = far.sent[Kind.ALIVE]
    for liar in liars:
        lie(liar, victim)
    net.run(0.05)
    assert far.link.peers[victim.link.id].told_at < 0
    assert far.sent[Kind.ALIVE] - asked <= 4, "heartbeats"


def test_it_is_told_when_a_peer_returns_that_had_given_us_up_while_we_kept_it():
    net = Network()
    a, b = net.node(topics=1), net.node(topics=1)
    net.run(1, net.whole)
    net.run(5)
    net.lan.blocked = lambda sender, receiver: sender is a.host
    net.run(10, lambda: b.what(PeerLost) != [])
    net.run(2)
    assert reasons(a) == []  # it hears that the host of the other lives
    net.lan.blocked = lambda sender, receiver: False
    net.run(5, net.whole)
    net.run(1)
    assert a.what(PeerReturned) == [PeerReturned(b.link.id)]
    assert b.what(PeerReturned) == [] and reasons(a) == []


def test_a_stopped_watched_process_stalls_and_resumes_and_is_never_lost():
    net = Network(watching=True)
    host = net.host()
    a, b = net.node(host, topics=1), net.node(host, topics=1)
    net.run(1, net.whole)
    net.run(5)
    b.stop()
    net.run(60)
    asked = a.sent[Kind.ALIVE]
    net.run(60)
    assert a.sent[Kind.ALIVE] - asked < 140, "asking goes on, once a second on each of two paths"
    a.put(n77="while/stopped")
    net.run(5)
    assert [type(event) for _, event in a.events if isinstance(event, PeerStalled | PeerResumed)] == [PeerStalled]
    b.resume()
    assert net.run(1, net.whole) < 0.1
    assert a.what(PeerResumed)
    assert reasons(a) == reasons(b) == []


def test_a_stopped_process_on_another_host_comes_back_without_restart():
    net = Network()
    a, b = pair(net)
    b.stop()
    net.run(30)
    assert reasons(a) == ["timed out"]
    a.put(n7="new", n8="newer")
    a.link.table.remove(1 << 20 | 1)  # b holds it, and a has nobody left to remember it for
    a.link.changed(net.now)
    b.resume()
    assert net.run(1, net.whole) < 0.2
    assert reasons(b) == [], "b slept, not a"


def test_what_happens_while_everybody_sleeps_is_no_silence():
    net = Network()
    a, b = pair(net)
    for node in (a, b):
        node.stop()
    net.run(100)
    for node in (a, b):
        node.resume()
    net.run(3)
    assert reasons(a) == reasons(b) == []


def test_who_sleeps_while_a_peer_is_in_doubt_still_waits_for_its_answer():
    net = Network()
    a, b = pair(net)
    a.link.receive_refusal(b.address(), net.now)
    a.flush()
    a.stop()
    net.run(5)
    a.link.handle_timer(net.now)  # before it reads what has come meanwhile
    a.resume()
    assert reasons(a) == []
    net.run(3)
    assert reasons(a) == []


# -- partitions and restarts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [2, 24])
def test_a_partition_of_a_minute_heals_within_two_seconds(nodes):
    net = Network()
    everybody = [net.node(topics=2) for _ in range(nodes)]
    net.run(3, net.met)
    left = {node.host for node in everybody[: nodes // 2]}
    net.lan.blocked = lambda a, b: (a in left) != (b in left)
    net.run(3)
    for node in everybody:
        node.put(**{f"n{node.link.id << 20 | 1}": None, f"n{node.link.id << 20 | 7}": "new"})
    net.run(57)
    assert all(len(node.tables) == nodes // 2 - 1 for node in everybody)
    net.lan.blocked = lambda a, b: False
    before = net.datagrams
    assert net.run(2, net.whole) < 2.0
    assert net.datagrams - before < nodes * nodes * 60
    net.run(2)
    assert all(not node.link.leads for node in everybody)


def test_a_partition_of_one_direction_leaves_no_stale_entries():
    net = Network()
    a, b = pair(net)
    net.lan.blocked = lambda sender, receiver: sender is b.host
    net.run(2.4)
    assert reasons(a) == ["timed out"]
    assert a.link.id in b.tables, "b heard all the time"
    a.put(**{f"n{1 << 20 | 1}": None})
    net.lan.blocked = lambda sender, receiver: False
    net.run(2, net.whole)
    assert 1 << 20 | 1 not in b.tables[a.link.id]


@pytest.mark.parametrize("how", ["killed", "closed", "cut"])
def test_a_thousand_restarts_leave_nothing_behind(how):
    net = Network()
    a = net.node(topics=1)
    host = net.host()
    for _ in range(1000):
        b = net.node(host, port=17770, topics=1)
        net.run(0.05, lambda b=b: b.link.id in a.tables and a.link.peers[b.link.id].complete)
        if how == "closed":
            b.close()
        elif how == "killed":
            b.kill()
        else:
            net.run(0.001)
            host.nodes.clear()
            b.alive = False
            del net.nodes[b.link.id]
        net.run(0.001)
    net.run(6)
    assert a.tables == {}
    assert (len(a.link.peers), len(a.link.addresses), a.link.table.removals) == (0, 0, 0)
    assert len(a.link.leads) <= 1
    assert a.link._roster.pool.free == 128 << 20
    assert len(reasons(a)) == 1000


def test_a_node_that_takes_the_address_of_a_dead_one_shows_that_it_is_dead():
    net = Network(icmp=False)
    a, b = pair(net)
    b.kill()
    c = net.node(b.host, port=b.port)
    assert net.run(1, lambda: c.link.id in a.tables) < 0.01
    assert reasons(a) == ["process died"]


# -- paths -------------------------------------------------------------------------------------------------------------


def two_homed(watching: bool = False):
    net = Network(watching=watching)
    other = Segment("other")
    return net, other, [net.host([net.lan, other]) for _ in range(2)]


def test_loopback_is_the_best_path():
    net, _, (host, _) = two_homed()
    a, b = net.node(host), net.node(host)
    net.run(1)
    for x, y in ((a, b), (b, a)):
        peer = x.link.peers[y.link.id]
        assert peer.address == ("127.0.0.1", y.port)
        assert set(peer.paths) == {("127.0.0.1", y.port), (host.addresses[net.lan], y.port), ("10.1.0.1", y.port)}
    net.run(20)
    assert len(moves(a)) + len(moves(b)) <= 2, "it stays there"


def test_static_hints_to_other_paths_do_not_move_a_watched_peer():
    net, _, (host, _) = two_homed(watching=True)
    a, b = net.node(host), net.node(host)
    net.run(1, net.whole)
    a.hint((host.addresses[net.lan], b.port), static=True)
    net.run(1)
    before = len(moves(a))
    net.run(20)
    assert len(moves(a)) == before


def test_another_path_is_taken_when_the_best_dies():
    net, other, (here, there) = two_homed()
    a, b = net.node(here, topics=1), net.node(there)
    net.run(1, net.whole)
    net.run(5)
    first = a.link.peers[b.link.id].address
    dead = net.lan if first == (there.addresses[net.lan], b.port) else other
    dead.blocked = lambda sender, receiver: True
    took = net.run(2, lambda: a.link.peers[b.link.id].address != first and b.what(PeerMoved) != [])
    assert took < 1.1
    assert moves(a)
    assert a.link.peers[b.link.id].address == (there.addresses[other if dead is net.lan else net.lan], b.port)
    net.run(5)
    assert reasons(a) == reasons(b) == []
    a.put(n7="over/the/other")
    assert net.run(1, net.whole) < 0.01


def test_a_peer_that_gets_ever_new_addresses_stays_known():
    net = Network()
    a, b = pair(net)
    for at in range(40):
        b.host.addresses[net.lan] = f"10.0.9.{at + 1}"
        b.link.greet(net.now)
        b.flush()
        net.run(1.5)
    assert reasons(a) == reasons(b) == []
    assert a.link.peers[b.link.id].address[0] == "10.0.9.40"
    assert len(a.link.peers[b.link.id].paths) <= 16


# -- static peers and gossip -------------------------------------------------------------------------------------------


def far(net: Network):
    net.lan.multicast = False
    return net


def test_a_static_peer_on_one_side_is_enough_in_both_start_orders():
    net = far(Network())
    a, b = net.node(), net.node()
    a.hint(b, static=True)
    assert net.run(1, net.whole) < 0.01
    net = far(Network(icmp=False))
    a, host = net.node(), net.host()
    a.hint((host.addresses[net.lan], 17770), static=True)
    net.run(30)
    net.node(host)
    assert net.run(2, net.whole) < 1.1
    net.run(30)
    assert a.sent[Kind.HELLO] < 100


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_peers_of_a_static_peer_find_each_other(loss):
    net = far(Network(3, loss=loss))
    b = net.node(topics=1)
    others = [net.node(topics=1) for _ in range(8)]
    for node in others:
        node.hint(b, static=True)
    assert net.run(20, net.whole) < (20 if loss else 1.1)


def test_gossip_does_not_storm():
    net = far(Network())
    hubs = [net.node() for _ in range(3)]
    nodes = [net.node() for _ in range(22)]
    for node in hubs + nodes:
        for hub in hubs:
            node.hint(hub, static=True)
    assert net.run(5, net.met) < 1.5
    before = sum(node.sent[Kind.PEERS] + node.sent[Kind.HELLO] for node in hubs + nodes)
    assert before < 25 * 25 * 4
    net.run(32)
    before = sum(node.sent[Kind.PEERS] + node.sent[Kind.HELLO] for node in hubs + nodes)
    net.run(30)
    later = sum(node.sent[Kind.PEERS] + node.sent[Kind.HELLO] for node in hubs + nodes)
    assert (later - before) / 30 < 25, "less than one a second and node"


def test_who_hears_mdns_for_others_tells_them_where_nodes_are_and_is_not_told():
    net = far(Network())
    host = net.host()
    speaker, spoken_for = net.node(host), net.node(host)
    net.run(1)
    distant = net.node()
    spoken_for.link.speaker = speaker.link.id
    speaker.link.tell(spoken_for.link.id, [(distant.host.addresses[net.lan], distant.port)])
    speaker.link.tell(12345, [("10.0.0.1", 1)])  # nobody
    net.run(1)
    assert distant.link.id in spoken_for.link.peers and distant.link.id not in speaker.link.peers
    net.run(60)
    assert spoken_for.sent[Kind.PEERS] == 0 and distant.link.id not in speaker.link.peers
    spoken_for.link.speaker = 0
    speaker.link.tell(spoken_for.link.id, [])
    net.run(5)
    assert net.whole(), "from anybody else it says that multicast does not pass"


def test_nodes_on_the_host_of_a_static_peer_are_told_of():
    net = far(Network())
    host = net.host()
    b, b2 = net.node(host), net.node(host)
    a = net.node()
    net.run(1)
    a.hint(b, static=True)
    assert net.run(1, net.whole) < 0.1
    assert a.link.peers[b2.link.id].address == (host.addresses[net.lan], b2.port)


def test_nodes_on_loopback_alone_match():
    net = Network()
    host = net.host()
    a, b = net.node(host, loopback_only=True), net.node(host, loopback_only=True)
    net.node(topics=1)
    net.run(5)
    assert set(a.tables) == {b.link.id}


def test_domains_do_not_see_each_other_even_as_static_peers():
    net = Network()
    host = net.host()
    a, b, c = net.node(host, domain="one"), net.node(host, domain="two"), net.node(domain="three")
    a.hint(b, static=True)
    b.hint(a, static=True)
    c.hint(a, static=True)
    net.run(10)
    for node in (a, b, c):
        assert not node.link.peers
        assert node.link.dropped["domain"]
        assert node.events == []
        assert {*node.sent} == {Kind.HELLO}


def test_an_unanswered_hint_is_given_up_and_a_static_one_never():
    net = Network()
    a = net.node(greet=False)
    a.hint(("10.0.9.9", 17770))
    a.hint(("10.0.9.8", 17770), static=True)
    net.run(20)
    assert list(a.link.leads) == [("10.0.9.8", 17770)]
    assert 15 < a.sent[Kind.HELLO] < 35


def test_a_refused_hint_is_given_up_sooner():
    net = Network()
    host = net.host()
    a = net.node(greet=False)
    a.hint((host.addresses[net.lan], 17770))
    net.run(2)
    assert not a.link.leads


def test_a_quiet_node_has_no_timer():
    net = Network()
    node = net.node(greet=False)
    assert node.link.next_timer() == float("inf")
    node.link.handle_timer(net.now + 5)
    assert node.link.datagrams_to_send() == []


@pytest.mark.parametrize("seed", range(6))
def test_anything_may_happen_and_at_the_end_all_is_whole(seed):
    """Starts, ends, stops, changes, partitions, loss: at the end everybody knows everything, and nothing else."""
    net = Network(seed, watching=seed % 2 == 1, loss=0.2, duplicate=0.05, jitter=0.03)
    random, hosts = net.random, [net.host() for _ in range(4)]
    for _ in range(120):
        nodes = list(net.nodes.values())
        action = random.randrange(8)
        if action < 2 or len(nodes) < 3:
            net.node(random.choice(hosts), topics=random.randrange(4))
        elif action == 2:
            random.choice(nodes).close()
        elif action == 3:
            random.choice(nodes).kill()
        elif action == 4:
            node = random.choice(nodes)
            node.resume() if node.stopped else node.stop()
        elif action == 5:
            cut = random.choice([None, *hosts])
            net.lan.blocked = lambda a, b, cut=cut: cut in (a, b)
        else:
            node = random.choice(nodes)
            if not node.stopped:
                node.put(**{f"n{random.randrange(1, 9)}": random.choice([None, "x", "y"])})
        net.run(random.choice([0.001, 0.1, 1.0]))
    net.lan.blocked = lambda a, b: False
    for node in list(net.nodes.values()):
        node.resume()
    net.run(15, net.whole)
    for node in net.nodes.values():
        net.check_books(node)


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_a_newcomer_learns_a_large_table_of_which_something_was_removed(loss):
    net = Network()
    net.lan.loss = loss
    a = net.node()
    for number in range(1, 1001):
        a.link.table.put(number, b"x" * 60)
    a.link.table.put(1001, b"gone")
    a.link.table.remove(1001)
    a.link.changed(net.now)
    a.flush()
    b = net.node()
    net.run(20, lambda: len(b.tables.get(a.link.id, {})) == 1000)


def announce_large(node, number=7, fields=2_000, topic="large"):
    """Announce a type of many fields; return its entry."""
    named = [f"field_{at:04}" for at in range(fields)]
    schema = {"messages": [{"id": 1, "name": "Large", "format": f"<{fields}f", "fields": named}]}
    data = pack_entry(PublisherEntry(topic, "struct", schema))
    node.link.table.put(number, data)
    node.link.changed(node.net.now)
    node.flush()
    return data


def datagram_sizes(net: Network):
    """Keep how large each datagram is that is sent from now on."""
    sizes, send = [], net.send

    def keep(node, data, address):
        sizes.append(len(data))
        send(node, data, address)

    net.send = keep
    return sizes


@pytest.mark.parametrize("fields", [150, 2_000])
@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("late", [True, False])
def test_a_type_of_many_fields_is_known_and_no_datagram_is_larger_than_any_mtu(fields, loss, late):
    net = Network(3, loss=loss)
    sizes = datagram_sizes(net)
    a = net.node(topics=300)
    b = None if late else net.node(topics=1)
    net.run(0.1)
    announce_large(a, fields=fields)
    b = b or net.node(topics=1)
    assert net.run(20, net.whole) < 20
    assert b.tables[a.link.id][7] == a.link.table.entries[7]
    a.put(n8="later", n7=None)
    assert net.run(20, net.whole) < 20
    assert 1_000 < max(sizes) <= 1_200


def test_sixty_nodes_tell_of_each_other_in_small_datagrams():
    net = Network()
    net.lan.multicast = False
    sizes = datagram_sizes(net)
    first = net.node()
    others = [net.node(topics=1) for _ in range(70)]
    for other in others:
        other.hint(first, static=True)
    net.run(20, net.whole)
    assert max(sizes) <= 1_200


def test_who_does_not_say_that_it_takes_parts_is_sent_large_entries_whole(monkeypatch):
    monkeypatch.setattr("ipcpy.protocol.link.greeting.PARTS", 0)
    net = Network()
    sizes = datagram_sizes(net)
    a, b = pair(net)
    data = announce_large(a)
    net.run(1, net.whole)
    assert b.tables[a.link.id][7] == data
    assert max(sizes) > len(data)
