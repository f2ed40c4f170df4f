"""No multicast at all, no mDNS and no static peers: programs of one host find each other all the same."""

from __future__ import annotations

import pytest

import tools

WITHOUT_MDNS = "import sys; sys.modules['zeroconf'] = None\n"
HOLDER = """if True:
    import socket, sys
    alone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    alone.bind(("", 17769))  # without SO_REUSEADDR: nobody shares it
    print("held", flush=True)
    sys.stdin.readline()
"""
PUBLISHER = (
    WITHOUT_MDNS
    + """if True:
    import sys, ipcpy as ipc
    with ipc.Publisher("t", keep=1) as pub:
        pub.publish("hello")
        print("open", flush=True)
        sys.stdin.readline()
"""
)
SUBSCRIBER = (
    WITHOUT_MDNS
    + """if True:
    import sys, time, ipcpy as ipc
    start = time.monotonic()
    with ipc.Subscriber("t") as sub:
        print(sub.recv(timeout=10).data, flush=True)
        print(f"after {time.monotonic() - start:.3f} s", flush=True)
        sys.stdin.readline()
"""
)
NODES = (
    WITHOUT_MDNS
    + """if True:
    import sys, time, ipcpy as ipc
    nodes = [ipc.Node(f"n{number}") for number in range(8)]
    print("open", flush=True)
    deadline = time.monotonic() + 10
    while any(len(node.nodes()) < 16 for node in nodes) and time.monotonic() < deadline:
        time.sleep(0.01)
    print("met", {len(node.nodes()) for node in nodes}, flush=True)
    sys.stdin.readline()
"""
)


@pytest.fixture(params=["the port is taken", "a firewall drops it"])
def net(request, lan):
    """One host on which nobody hears a greeting to all."""
    net = lan(hosts=1)
    if request.param == "the port is taken":
        net.spawn(1, HOLDER).wait_line("held")
        return net
    tools.need("nft")
    rule = "table ip t {\nchain c {\ntype filter hook output priority 0;\nip daddr 224.0.0.0/4 drop\n}\n}\n"
    done = net.run(1, ["nft", "-f", "-"], input=rule)
    assert done.returncode == 0, done.stderr
    return net


def test_programs_of_one_host_match(net):
    net.spawn(1, PUBLISHER).wait_line("open")
    subscriber = net.spawn(1, SUBSCRIBER)
    subscriber.wait_line("hello")
    print(subscriber.wait_line("after .* s").group())


def test_more_nodes_than_link_ports_all_meet(net):
    """16 nodes, of which 6 are at any port: those at the link ports tell of them."""
    processes = [net.spawn(1, NODES) for _ in range(2)]
    for process in processes:
        process.wait_line(r"met \{16\}", timeout=40)
