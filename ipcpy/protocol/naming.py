"""What a name that a user asks for becomes: under a namespace, and called otherwise.

Knows strings only; nothing of what is named, and nothing of environments.

What is asked for is put under the namespace, unless it begins with ``/``. Then one rule may give it another name: one
for this very name first, else the one that names most of what it is under (``camera/**:=front/**``). Both sides of a
rule are put under the namespace too. A rule is applied once: what it made is final, so ``a:=b,b:=a`` exchanges two.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import ArgumentError
from ..records import NamedTuple
from .topics import MAX_BYTES, OWN, OwnTopic, check_asked, check_topic, is_own, is_pattern

__all__ = ["Naming", "Resolved", "Whole"]

OURS = "ipcpy/"  # what begins with it is ipcpy's own, and called what it is called
_BELOW = "/**"


class Whole(str):
    """A name that has become what it becomes, and of which others are made: nothing changes it any more."""

    __slots__ = ()


class Resolved(NamedTuple):
    """What became of a name.

    Attributes:
        topic: the whole name, as others see it.
        asked: what the user wrote.
        told: how a sentence names it: what it became, and what was asked for where that is another.
    """

    topic: str
    asked: str
    told: str


class Naming:
    """The namespace and the rules of one node.

    Args:
        namespace: empty for none; a ``/`` at its ends means nothing.
        rules: pairs of what is asked for and what it is called.

    Raises:
        ArgumentError: the namespace or one side of a rule is no name, or two rules are for one name.

    >>> naming = Naming("robot1", [("imu", "front/imu"), ("camera/**", "/shared/**")])
    >>> [naming.topic(each).topic for each in ("gps", "imu", "/gps", "camera/image")]
    ['robot1/gps', 'robot1/front/imu', 'gps', 'shared/image']
    """

    def __init__(self, namespace: str = "", rules: Iterable[tuple[str, str]] = ()) -> None:
        self.namespace = _checked(namespace)
        self._names: dict[str, str] = {}
        self._below: dict[str, str] = {}  # what is under a name, by that name
        for old, new in rules:
            self._add(old, new)
        self._longest = sorted(self._below, key=len, reverse=True)

    def _add(self, old: str, new: str) -> None:
        rule = f"{old}:={new}"
        try:
            was, becomes = self._whole(old), self._whole(new)
        except ArgumentError as error:
            raise ArgumentError(f"remap is OLD:=NEW, such as imu:=front/imu, got {rule!r}: {error}") from None
        under, over = _above(was), _above(becomes)
        known: dict[str, str] = self._names
        if (under is None) != (over is None):
            raise ArgumentError(f"remap has '**' at the end of both names or of none, got {rule!r}")
        if under is not None and over is not None:
            known, was, becomes = self._below, under, over
        elif is_pattern(becomes) and not is_pattern(was):
            raise ArgumentError(f"remap makes no pattern of a name, got {rule!r}")
        if known.get(was, becomes) != becomes:
            raise ArgumentError(f"remap has two rules for one name, the second is {rule!r}")
        known[was] = becomes

    def topic(self, asked: object) -> Resolved:
        """Return what the name of a topic, a service or parameters becomes.

        Raises:
            ArgumentError: it is no name, or becomes none.
        """
        found = self.pattern(asked)
        if is_pattern(found.topic):
            raise ArgumentError(f"a publisher's topic cannot be a pattern, got {found.told}")
        return found

    def pattern(self, asked: object) -> Resolved:
        """Return what a name or pattern becomes.

        Raises:
            ArgumentError: it is neither, or becomes neither.
        """
        absolute, name = check_asked(asked)
        if isinstance(asked, OwnTopic | Whole) or (absolute and name.startswith(OURS)):
            return Resolved(name, name, repr(name))
        whole = name if absolute else self._under(name)
        topic = self._renamed(whole)
        told, written = repr(topic), f"/{name}" if absolute else name
        if topic != name:
            how = [f"asked for as {written!r}"]
            how += [] if absolute or not self.namespace else [f"in namespace {self.namespace!r}"]
            how += [] if topic == whole else ["remapped"]
            told = f"{topic!r} ({', '.join(how)})"
        if len(topic.encode()) > MAX_BYTES:
            raise ArgumentError(f"a topic has at most {MAX_BYTES} bytes, got {told}")
        if is_own(topic):
            raise ArgumentError(f"names that begin with '{OWN}/' are ipcpy's own, got {told}")
        return Resolved(topic, written, told)

    def _whole(self, asked: str) -> str:
        absolute, name = check_asked(asked)
        return name if absolute else self._under(name)

    def _under(self, name: str) -> str:
        return f"{self.namespace}/{name}" if self.namespace else name

    def _renamed(self, whole: str) -> str:
        if whole in self._names:
            return self._names[whole]
        for above in self._longest:
            if not above or whole == above or whole.startswith(f"{above}/"):
                rest = whole[len(above) :].lstrip("/")
                renamed = "/".join(filter(None, (self._below[above], rest)))
                return renamed or whole
        return whole


def _checked(namespace: object) -> str:
    """Return a namespace without slashes at its ends."""
    wanted = "namespace is a name such as 'robot1' or 'fleet/robot1'"
    if not isinstance(namespace, str):
        raise ArgumentError(f"{wanted}, got {namespace!r}")
    bare = namespace.strip().removeprefix("/").removesuffix("/")
    if not bare:
        return ""
    try:
        return check_topic(bare)
    except ArgumentError as error:
        raise ArgumentError(f"{wanted}, got {namespace!r}: {error}") from None


def _above(pattern: str) -> str | None:
    """Return the name whose whole tree a pattern stands for, empty for ``**``; None where it is no such pattern."""
    if pattern == "**":
        return ""
    above = pattern.removesuffix(_BELOW)
    return None if above == pattern or is_pattern(above) else above
