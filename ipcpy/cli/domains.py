"""Looking at several domains at once. Knows the nodes of a fleet, and their graphs; nothing of tables or options."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from queue import Empty, Queue
from threading import Thread

import ipcpy as ipc

from ..overview.fleet import Fleet
from .looking import look, nobody, strangers
from .render import plural

__all__ = ["events", "in_domains", "look_around", "nobody_around"]

LOOK = 0.25  # seconds between two looks for more domains
MIN_LOOK = 0.05  # seconds that each node has at least for its first picture


def look_around(fleet: Fleet, timeout: float, found: Callable[[ipc.Node], bool]) -> bool:
    """Wait for the first complete picture of each domain, and longer while none shows what is wanted.

    Where all domains are looked at, they are given 1.5 s to be heard of.

    Returns:
        Whether it was found in one of them within ``timeout`` seconds.
    """
    fleet.gather()
    until = time.monotonic() + timeout
    nodes = fleet.nodes
    if len(nodes) == 1:
        return look(nodes[0], timeout, lambda: found(nodes[0]))
    for node in nodes:  # they learn at the same time: the others need not wait for long
        look(node, max(MIN_LOOK, min(LOOK, until - time.monotonic())), lambda: True)
    while not any(map(found, nodes)):
        if time.monotonic() >= until:
            return False
        nodes[0].wait_complete(LOOK)
        fleet.look()
        nodes = fleet.nodes
    return True


def nobody_around(what: str, timeout: float, fleet: Fleet) -> str:
    """Say that nothing was found in any of the domains, and what may help."""
    if len(fleet.domains) == 1 and not fleet.everywhere:
        return nobody(what, timeout, fleet.domains[0], strangers(fleet.nodes))
    unheard = fleet.unheard() if fleet.everywhere else 0
    hint = (
        " Greetings of other domains came, whose names mDNS does not tell here: name them, --domain robotA,robotB."
        if unheard
        else ""
    )
    shut_out = strangers(fleet.nodes)
    hint = f" {shut_out}{hint}" if shut_out else hint
    return f"no {what} within {timeout:g} s {in_domains(fleet)}.{hint} Try: ipcpy doctor."


def in_domains(fleet: Fleet) -> str:
    """Say in which domains was looked, and which were left out."""
    domains = fleet.domains
    named = ", ".join(domains[:5]) + (f" and {len(domains) - 5} more" if len(domains) > 5 else "")
    more = f" ({plural(len(fleet.left_out), 'more domain')} left out)" if fleet.left_out else ""
    return f"in {'domain' if len(domains) == 1 else 'the domains'} {named}{more}"


def events(fleet: Fleet) -> Iterator[ipc.Event]:
    """Yield the events of all graphs of a fleet, of domains that are heard of later too, without end."""
    nodes = fleet.nodes
    if len(nodes) == 1 and not fleet.everywhere:
        with nodes[0].watch() as watch:
            yield from watch
        return
    told: Queue[ipc.Event] = Queue(maxsize=10_000)
    watched: set[str] = set()
    while True:
        for node in fleet.nodes:
            if node.id not in watched:
                watched.add(node.id)
                Thread(target=_pass_on, args=(node.watch(), told), daemon=True).start()
        try:
            yield told.get(timeout=LOOK)
        except Empty:
            fleet.look()


def _pass_on(watch: ipc.Watch[ipc.Event], told: Queue[ipc.Event]) -> None:
    """Pass on what a watch tells, until its node is closed."""
    for event in watch:
        told.put(event)
