"""Why the messages of a topic come, or do not, in the words of those concerned, wherever they are.

Asks each publisher and subscriber what its own ``why()`` says, over the network. Knows the graph and inquiries; judges
nothing itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ..graph import EndpointInfo
from ..protocol.link.inquiry import What
from ..protocol.topics import is_own, matches
from ..records import NamedTuple
from .books import Books
from .inquiries import Inquiries, Round
from .picture import Place, place, reasons, silence

MAX_ASKED = 32  # publishers and subscribers that are asked


class Asked(NamedTuple):
    """Who is asked, and how: not at all where it is this node's own."""

    endpoint: EndpointInfo
    round: Round | None


def _whose(endpoint: EndpointInfo) -> tuple[str, str, str]:
    return endpoint.node.id, endpoint.kind, endpoint.topic


class Whys:
    """What publishers and subscribers say of why.

    Args:
        node: this node: its domain and the graph.
        books: its own.
        inquiries: asks other nodes.
        own: its id.
    """

    def __init__(self, node: Place, books: Books, inquiries: Inquiries, own: int) -> None:
        self._node = node
        self._books = books
        self._inquiries = inquiries
        self._own = f"{own:016x}"

    def ask(self, topic: str, timeout: float) -> list[Asked]:
        """Ask all whose topic or pattern meets a topic or pattern; subscribers first: it is they who miss something."""
        found = sorted(self._concerned(topic), key=lambda each: (each.kind == "publisher", each.node.name, each.id))
        return [Asked(each, self._question(each, timeout)) for each in found]

    def _question(self, endpoint: EndpointInfo, timeout: float) -> Round | None:
        if endpoint.node.id == self._own:
            return None
        return self._inquiries.ask(What.WHY, timeout, int(endpoint.id, 16), [int(endpoint.node.id, 16)])

    def _concerned(self, topic: str) -> Iterator[EndpointInfo]:
        known: set[str] = set()
        for each in self._node.picture.topics(hidden=is_own(topic)):
            if matches(topic, each.name):
                for endpoint in (*each.subscribers, *each.publishers):
                    if endpoint.id not in known and len(known) < MAX_ASKED:
                        known.add(endpoint.id)
                        yield endpoint

    def wait(self, asked: Iterable[Asked]) -> None:
        """Wait until all have answered, or the time is up."""
        for each in asked:
            if each.round is not None:
                self._inquiries.wait(each.round)

    async def wait_async(self, asked: Iterable[Asked]) -> None:
        """Wait as ``wait``, in a coroutine."""
        for each in asked:
            if each.round is not None:
                await self._inquiries.wait_async(each.round)

    def text(self, topic: str, asked: list[Asked]) -> str:
        """Return what all said, and whom there is none of."""
        lines: list[str] = []
        for kind in ("publisher", "subscriber"):
            if not any(each.endpoint.kind == kind for each in asked):
                lines += reasons(kind, topic, [], self._node, locked_out=not lines)
        alike = Counter(_whose(each.endpoint) for each in asked)
        for each in asked:
            who = place(each.endpoint.kind.capitalize(), each.endpoint.node)
            named = f" of {each.endpoint.topic!r}" if each.endpoint.topic != topic else ""
            numbered = f", {each.endpoint.id}," if alike[_whose(each.endpoint)] > 1 else ""
            lines.append(f"{who}{named}{numbered} says:")
            lines += [f"  {line}" for line in self._said(each)]
        if len(asked) == MAX_ASKED:
            lines.append(f"Only {MAX_ASKED} were asked.")
        return "\n".join(lines)

    def _said(self, asked: Asked) -> list[str]:
        endpoint, question = asked
        if question is None:
            return self._books.explain(int(endpoint.id, 16)).split("\n")
        node = self._node.picture.node(endpoint.node)
        if node.state != "alive":
            return [f"nothing: {silence(node, matched=False)}"]
        answer = next(iter(question.questions.values()), None)
        if answer is None:
            return [f"nothing: its ipcpy ({node.version}) is too old to be asked."]
        if not answer.answered:
            return ["nothing: it did not answer in time."]
        text = answer.content().decode(errors="replace")
        return ["".join(filter(str.isprintable, line)) for line in text.split("\n")]
