"""What topics are called at a broker. Pure: names and patterns; nothing of messages.

What a topic is called beyond, with the bridge's prefix, it is called at the broker too. A map says otherwise for single
topics, and for all that begin with the same segments: with ``sensors = home/robot7`` the topic ``sensors/door`` is
``home/robot7/door``. Beside the topics, bridges tell each other of themselves under a name of their own (``root``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ...errors import ArgumentError
from ...protocol.topics import check_topic, told_topic

__all__ = ["ROOT", "Names", "check_name", "fewest"]

ROOT = "ipcpy"
_OFFERS, _BEHIND = "offers", "@"
_SINGLE, _MANY = "+", "#"


class Names:
    """Turns names of topics beyond into names at a broker, and back.

    Args:
        prefix: what names beyond begin with; may be empty.
        pairs: the map, from names here, which have no prefix, to names there. With a slash at its beginning a name
            here has none beyond either.
        root: what bridges tell of themselves under.

    Raises:
        ArgumentError: a name is none, or two topics would have the same name there.
    """

    def __init__(self, prefix: str = "", pairs: Mapping[str, str] | None = None, root: str = ROOT) -> None:
        self._root = check_name("root", root)
        if prefix.split("/")[0] == self._root.split("/")[0]:
            raise ArgumentError(
                f"the prefix {prefix!r} is below {root!r}, where bridges tell of themselves: see --root"
            )
        named = [(_beyond(prefix, here), check_name("map", there)) for here, there in (pairs or {}).items()]
        if len({there for _, there in named}) < len(named):
            raise ArgumentError("map: two topics cannot have the same name at the broker")
        self._pairs = sorted(named, key=lambda pair: -len(pair[0]))
        self._back = sorted(named, key=lambda pair: -len(pair[1]))

    def there(self, topic: str) -> str | None:
        """Return what a topic is called at the broker; None where that cannot name it, for a ``+`` or ``#`` in it."""
        if _SINGLE in topic or _MANY in topic or topic.startswith("$"):
            return None
        name = topic
        for beyond, there in self._pairs:
            if (rest := _below(beyond, topic)) is not None:
                name = there + rest
                break
        return None if _below(self._root, name) is not None else name

    def here(self, name: str) -> str | None:
        """Return which topic beyond a broker's name stands for; None where it is none of ours, or cannot be one."""
        found = name
        for beyond, there in self._back:
            if (rest := _below(there, name)) is not None:
                found = beyond + rest
                break
        try:
            topic = told_topic(found)
        except ArgumentError:
            return None
        return topic if self.there(topic) == name else None

    def filters(self, patterns: Iterable[str]) -> list[str]:
        """Return what to subscribe to at a broker for names and patterns beyond: these topics, and perhaps more."""
        found: set[str] = set()
        for pattern in patterns:
            segments = pattern.split("/")
            found.add(_filter(segments))
            for beyond, there in self._pairs:
                found.update(_filter([there, *rest]) for rest in _residues(segments, beyond.split("/")))
        return fewest(found)

    def offer(self, topic: str, bridge: str, publisher: str) -> str:
        """Return the name under which a bridge tells of a publisher of a topic beyond."""
        return f"{self._root}/{_OFFERS}/{topic}/{_BEHIND}/{bridge}/{publisher}"

    def offer_filters(self, patterns: Iterable[str]) -> list[str]:
        """Return what to subscribe to for what bridges tell of publishers."""
        head, tail = [self._root, _OFFERS], [_BEHIND, _SINGLE, _SINGLE]
        return fewest({_filter([*head, *pattern.split("/"), *tail]) for pattern in patterns})

    def bridge(self, bridge: str) -> str:
        """Return the name under which a bridge tells whether it is there."""
        return f"{self._root}/bridges/{bridge}"

    def begins(self, bridge: str, publisher: str) -> str:
        """Return the name under which a bridge tells with which number a publisher begins; it may be ``+``."""
        return f"{self._root}/begins/{bridge}/{publisher}"

    def ask(self, bridge: str, publisher: str) -> str:
        """Return the name under which a bridge is asked how a publisher begins."""
        return f"{self._root}/asks/{bridge}/{publisher}"

    def answer(self, asker: str, bridge: str, publisher: str) -> str:
        """Return the name under which it answers."""
        return f"{self._root}/answers/{asker}/{bridge}/{publisher}"

    def offer_key(self, name: str) -> tuple[str, str] | None:
        """Return the bridge and the publisher of a name that ``offer`` makes; None if it is none."""
        rest = (_below(f"{self._root}/{_OFFERS}", name) or "").split("/")
        return (rest[-2], rest[-1]) if len(rest) > 4 and rest[-3] == _BEHIND else None

    def between_bridges(self, name: str) -> list[str] | None:
        """Return the segments behind the root of a name of bridges' own; None if it is none."""
        rest = _below(self._root, name)
        return rest.split("/")[1:] if rest else None


def _beyond(prefix: str, here: str) -> str:
    """Return what a topic of a map is called beyond."""
    if here.startswith("/"):
        return check_topic(here[1:])
    return f"{prefix}/{check_topic(here)}" if prefix else check_topic(here)


def check_name(what: str, name: object) -> str:
    """Return a name at a broker.

    Raises:
        ArgumentError: it is none: it is empty, has ``+``, ``#`` or characters that do not print, or begins with ``$``.
    """
    if not isinstance(name, str) or not name or not name.isprintable() or set(name) & {_SINGLE, _MANY}:
        raise ArgumentError(
            f"{what}: a name at the broker is a text such as 'home/robot7' without + and #, got {name!r}"
        )
    if name.startswith("$"):
        raise ArgumentError(f"{what}: names that begin with $ are the broker's own, got {name!r}")
    return name


def _below(base: str, name: str) -> str | None:
    """Return what stands behind a base: empty for the base itself, else with its slash; None if it is not below it."""
    if name == base:
        return ""
    return name[len(base) :] if name.startswith(f"{base}/") else None


def fewest(filters: Iterable[str]) -> list[str]:
    """Return those of some filters that others among them do not cover: for overlapping ones brokers send doubles."""
    filters = set(filters)
    return sorted(each for each in filters if not any(other != each and _covers(other, each) for other in filters))


def _filter(segments: list[str]) -> str:
    made: list[str] = []
    for segment in segments:
        if segment == "**":
            return "/".join([*made, _MANY])
        made.append(_SINGLE if segment == "*" else segment)
    return "/".join(made)


def _residues(pattern: list[str], names: list[str]) -> Iterator[list[str]]:
    """Yield the patterns of what may stand behind some names in topics that a pattern stands for."""
    if not names:
        yield pattern
    elif pattern and pattern[0] == "**":
        yield from _residues(pattern, names[1:])
        yield from _residues(pattern[1:], names)
    elif pattern and pattern[0] in ("*", names[0]):
        yield from _residues(pattern[1:], names[1:])


def _covers(one: str, other: str) -> bool:
    """Tell whether a filter takes all that another one takes."""
    mine, theirs = one.split("/"), other.split("/")
    for number, segment in enumerate(mine):
        if segment == _MANY:
            return True
        if number >= len(theirs) or theirs[number] == _MANY or (segment != _SINGLE and segment != theirs[number]):
            return False
    return len(mine) == len(theirs)
