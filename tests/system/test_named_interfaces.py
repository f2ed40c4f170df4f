"""Settings that name one of several addresses, or cards, of one subnet: everything leaves there, and all is matched.

Each host has two ways to the other; both hosts are told to use the second. A sniffer on each host takes down what
leaves by the card, or from the address, that was not named.
"""

from __future__ import annotations

import json
import os

import pytest

from sniffer import SNIFFER

PUBLISHER = """if True:
    import sys, ipcpy as ipc
    with ipc.Publisher("t", reliable=True) as pub:
        pub.wait_for_subscribers(timeout=10)
        for n in range(100):
            pub.publish(n)
        pub.publish(bytes(300_000))
        print("published", pub.subscribers[0].node.address, flush=True)
        sys.stdin.readline()
"""
SUBSCRIBER = """if True:
    import sys, ipcpy as ipc
    with ipc.Subscriber("t") as sub:
        print([sub.recv(timeout=10).data for _ in range(100)] == list(range(100)), flush=True)
        print(len(sub.recv(timeout=10).data), sub.publishers[0].node.address, sub.stats.lost, flush=True)
        sys.stdin.readline()
"""
NODE = """if True:
    import sys, ipcpy as ipc
    with ipc.Node("arm"):
        print("open", flush=True)
        sys.stdin.readline()
"""

RELEASE = tuple(map(int, os.uname().release.split(".")[:2]))
chooses_card = pytest.mark.skipif(
    RELEASE < (6, 1), reason="Linux before 6.1 chooses the card of a connected socket by its routes"
)


def run_two(net, env, watched):
    """Publish on host 1 for host 2; return what the two printed, and what left each host by its watched card."""
    sniffers = [net.spawn(host, SNIFFER, watched) for host in (1, 2)]
    for sniffer in sniffers:
        sniffer.wait_line("sniffing")
    publisher = net.spawn(1, PUBLISHER, env=env[1])
    subscriber = net.spawn(2, SUBSCRIBER, env=env[2])
    subscriber.wait_line("True")
    told = [subscriber.wait_line("300000.*").group(), publisher.wait_line("published.*").group()]
    for process in (publisher, subscriber):
        process.send_line("")
        process.wait()
    for sniffer in sniffers:
        sniffer.send_line("")
    return told, [json.loads(sniffer.wait_line("{.*").group()) for sniffer in sniffers]


def test_of_two_addresses_of_a_card_the_named_one_is_used_for_everything(lan):
    net = lan(hosts=2)
    for host in (1, 2):
        net.run(host, ["ip", "addr", "add", f"10.77.0.20{host}/24", "dev", "eth0"])
    env = {host: {"IPCPY_INTERFACES": f"10.77.0.20{host}"} for host in (1, 2)}
    (subscriber, publisher), left = run_two(net, env, "eth0")
    assert "10.77.0.201:" in subscriber and subscriber.endswith("{}") and "10.77.0.202:" in publisher
    for host, sources in zip((1, 2), left, strict=True):
        assert sources.keys() == {f"10.77.0.20{host}"}, "nothing left from the address that was not named"
        assert sources[f"10.77.0.20{host}"] > 10


@chooses_card
@pytest.mark.parametrize("named", ["address", "name"])
def test_of_two_cards_in_a_subnet_the_named_one_is_used_for_everything(lan, named):
    net = lan(hosts=2)
    cards = {host: net.add_nic(host, segment=0) for host in (1, 2)}
    env = {
        host: {"IPCPY_INTERFACES": card if named == "name" else net.nics(host)[card]} for host, card in cards.items()
    }
    (subscriber, publisher), left = run_two(net, env, "eth0")
    assert "10.77.0.101:" in subscriber and subscriber.endswith("{}") and "10.77.0.102:" in publisher
    assert left == [{}, {}], "nothing left by the card that was not named"


@chooses_card
@pytest.mark.parametrize("named", ["10.77.0.201", "10.77.0.101"], ids=["address", "card"])
@pytest.mark.parametrize("host", [1, 2])
def test_one_host_that_names_an_address_and_one_that_names_none_match(lan, host, named):
    net = lan(hosts=2)
    for each in (1, 2):
        net.add_nic(each, segment=0)
        net.run(each, ["ip", "addr", "add", f"10.77.0.20{each}/24", "dev", "eth0"])
    named = named[:-1] + str(host)
    env = {1: {}, 2: {}} | {host: {"IPCPY_INTERFACES": named}}
    told, left = run_two(net, env, "eth0")
    assert f"{named}:" in told[host - 1], "where the other sees the publisher or the subscriber"
    assert left[host - 1].keys() <= {named} & {f"10.77.0.20{host}"}, "nothing else left by eth0"


def test_a_static_peer_is_answered_from_the_address_that_was_asked(lan):
    """Multicast does not pass, and the address that is named is not the one that the system would answer from."""
    net = lan(hosts=2)
    net.multicast(False)
    net.run(2, ["ip", "addr", "add", "10.77.0.202/24", "dev", "eth0"])
    (subscriber, publisher), _ = run_two(net, {1: {"IPCPY_PEERS": "10.77.0.202"}, 2: {}}, "eth0")
    assert "10.77.0.1:" in subscriber and "10.77.0.202:" in publisher


def test_nothing_leaves_while_no_interface_that_is_named_is_there(lan):
    net = lan(hosts=2)
    sniffer = net.spawn(1, SNIFFER, "eth0")
    sniffer.wait_line("sniffing")
    program = "import ipcpy, time; node = ipcpy.Node(); time.sleep(0.5); print(node.stats.refused['unicast'] > 0)"
    done = net.run(1, program, env={"IPCPY_INTERFACES": "wlan7", "IPCPY_PEERS": "10.77.0.2"})
    assert done.stdout == "True\n", done.stderr
    sniffer.send_line("")
    assert sniffer.wait_line("{.*").group() == "{}"


def test_the_doctor_asks_by_the_card_that_is_named(lan):
    net = lan(hosts=2)
    for host in (1, 2):
        net.add_nic(host, segment=0)
    sniffers = [net.spawn(host, SNIFFER, "eth0") for host in (1, 2)]
    for sniffer in sniffers:
        sniffer.wait_line("sniffing")
    node = net.spawn(2, NODE, env={"IPCPY_INTERFACES": "eth1"})
    node.wait_line("open")
    program = "import ipcpy; print(*(each.text for each in ipcpy.diagnose().findings), sep='\\n')"
    told = net.run(1, program, env={"IPCPY_INTERFACES": "eth1"}, timeout=20).stdout
    assert "10.77.0.102" in told and "dropped" not in told and "does not answer" not in told, told
    for sniffer in sniffers:
        sniffer.send_line("")
        assert sniffer.wait_line("{.*").group() == "{}"
