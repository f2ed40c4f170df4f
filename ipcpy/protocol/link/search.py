"""Where nodes may be: the group that is greeted, and addresses that are knocked at. Decides when; sends nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ...addresses import Address
from ...budget import Budget
from ...chance import Chance
from ...records import dataclass
from ...timeouts import NEVER
from .greeting import KNOCK, STATIC
from .peers import Timing

MAX_LEADS = 2_048  # static ones not counted
MANY_LEADS = 100  # beyond, each is knocked at less often: in all no more than if there were this many
MANY_PEERS = 30  # beyond, the group is greeted less often: each node then hears about 15 greetings a second

# Knocks at addresses that do not answer: each waits in the kernel, for up to 3 s, for the address to be resolved, and
# all together must not fill the socket's send buffer (380 small datagrams = 200 + 3 * 60 take 290 kB of 426).
KNOCKS = 60.0  # a second
KNOCKS_AT_ONCE = 200.0
AGAIN = 0.25  # seconds until a knock that had to wait is thought of again

# Seconds after the first greeting in which no second one is sent while new nodes still appear: on a busy computer all
# of them would answer twice.
PATIENT = 3.0


@dataclass(slots=True)
class Lead:
    """An address where a node may be; tried at ``next``, given up at ``until``, which is ``inf`` for static ones."""

    until: float
    next: float
    tries: int = 0


class Search:
    """When to greet where.

    Args:
        dropped: the counter in which a lead that is dropped for lack of room is counted.

    Attributes:
        leads: the addresses that are knocked at.
        next: nothing is due before.
    """

    def __init__(self, timing: Timing, random: Chance, dropped: Counter[str]) -> None:
        self.leads: dict[Address, Lead] = {}
        self.next = NEVER
        self._timing = timing
        self._random = random
        self._dropped = dropped
        self._greet_at = NEVER
        self._greeted = 0
        self._patient_until = -NEVER
        self._known = 0  # peers when the group was last to be greeted
        self._budget = Budget(KNOCKS_AT_ONCE, KNOCKS, -NEVER)

    def greet(self, now: float) -> None:
        """Greet the group now and often in the seconds that follow, and knock at every such address."""
        self._greeted = 0
        self._greet_at = self.next = now
        self._patient_until = now + PATIENT
        for lead in self.leads.values():
            lead.tries, lead.next = 0, now

    def add(self, address: Address, now: float, until: float) -> None:
        """Learn where a node may be; the oldest lead gives way where there are too many."""
        known = self.leads.get(address)
        if known is not None:
            known.until = max(known.until, until)
            return
        if len(self.leads) >= MAX_LEADS:
            oldest = next((where for where, lead in self.leads.items() if lead.until < NEVER), None)
            if oldest is not None:
                del self.leads[oldest]
                self._dropped["hints"] += 1
        self.leads[address] = Lead(until, now)
        self.next = min(self.next, now)

    def forget(self, address: Address) -> None:
        """Knock no more at an address."""
        self.leads.pop(address, None)

    def sleep_over(self, now: float) -> None:
        """Have what was due while we slept be due now, so that we are late once and not twice."""
        self.next = max(self.next, now)

    def hasten(self, address: Address, now: float) -> None:
        """Learn that somebody speaks from an address: if it is a lead, knock soon, however often that was in vain."""
        lead = self.leads.get(address)
        if lead is not None and lead.tries:
            lead.tries, lead.next = 1, min(lead.next, now + self._timing.knock[0])
            self.next = min(self.next, lead.next)

    def refuse(self, address: Address, now: float) -> None:
        """Learn that nobody listens at an address: the lead is not worth many more tries, unless it is static."""
        lead = self.leads.get(address)
        if lead is not None and lead.until < NEVER:
            lead.until = min(lead.until, now + self._timing.stall)

    def stop(self) -> None:
        """Forget all leads, and greet nobody."""
        self.leads.clear()
        self._greet_at = self.next = NEVER

    def due(self, now: float, peers: int, alive: Callable[[Address, float], bool]) -> list[tuple[Address | None, int]]:
        """Return whom to greet now, as (address or None for the group, ``extra`` of the HELLO).

        Args:
            peers: how many are known.
            alive: given an address and now, whether a peer was heard from there not long ago.
        """
        if now < self.next:
            return []
        found: list[tuple[Address | None, int]] = []
        if now >= self._greet_at:
            if self._greeted and self._known < peers and now < self._patient_until:
                self._greet_at = now + self._timing.greet[0]
            else:
                found.append((None, 0))
                self._greet_at = now + self._greet_pause(peers)
            self._known = peers
        found += self._knocks(now, alive)
        self.next = min((lead.next for lead in self.leads.values()), default=NEVER)
        self.next = min(self.next, self._greet_at)
        return found

    def _greet_pause(self, peers: int) -> float:
        pauses = self._timing.greet
        last = self._greeted >= len(pauses) - 1
        pause = pauses[min(self._greeted, len(pauses) - 1)]
        self._greeted += 1
        return pause * max(1.0, peers / MANY_PEERS) * self._random.uniform(0.8, 1.0) if last else pause

    def _knocks(self, now: float, alive: Callable[[Address, float], bool]) -> list[tuple[Address | None, int]]:
        found: list[tuple[Address | None, int]] = []
        pauses = self._timing.knock
        stretch = max(1.0, len(self.leads) / MANY_LEADS)
        for address, lead in list(self.leads.items()):
            if now < lead.next:
                continue
            static, answered = lead.until == NEVER, alive(address, now)
            if now >= lead.until or (answered and not static):
                del self.leads[address]
                continue
            if not answered and self._budget.left(now) < (1.0 if lead.tries == 0 else KNOCKS_AT_ONCE / 2):
                lead.next = now + AGAIN
                continue
            if not answered:
                self._budget.spend(1.0)
                found.append((address, STATIC if static else KNOCK))
            lead.next = now + pauses[min(lead.tries, len(pauses) - 1)] * stretch
            lead.tries += 1
        return found
