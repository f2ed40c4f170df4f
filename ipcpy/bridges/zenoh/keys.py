"""The key expressions of a bridge in Zenoh. Pure; knows texts only.

``<space>/<kind>/<topic>/<bridge>/<publisher>``, so that an access rule for ``ipcpy/data/robot7/**`` says whose it is:

- ``offer``: a liveliness token, there as long as the bridge and its link are;
- ``ask``: a queryable that says what is offered, and how it begins;
- ``data``: the messages; their bodies are as their publisher made them, the rest is in the attachment;
- ``seen``: how far they have come, said by who takes them;
- ``service`` and ``serves``: the token and the queryable of a service; ``call``: letters to it; ``answer``: letters
  back, with the bridge that asked instead of the one that offers.
"""

from __future__ import annotations

import re

from ..adapter import Key
from ..offers import read_id

__all__ = ["KINDS", "Keys"]

KINDS = ("offer", "ask", "data", "seen", "service", "serves", "call", "answer")
_RESERVED = re.compile(r"[%$?#@]")


class Keys:
    """The keys in one space; bridges of different spaces on one Zenoh network do not meet.

    Args:
        space: what all keys begin with.
    """

    def __init__(self, space: str = "ipcpy") -> None:
        self.space = space

    def of(self, kind: str, topic: str, key: Key) -> str:
        """Return the key of an offer."""
        return f"{self.space}/{kind}/{escape(topic)}/{key[0]}/{key[1]}"

    def all_of(self, kind: str, pattern: str) -> str:
        """Return the key expression of those whose topics match a pattern; Zenoh has to bring it to its form."""
        return f"{self.space}/{kind}/{escape(pattern)}/*/*"

    def read(self, text: str) -> tuple[str, str, Key]:
        """Return the kind, the topic and the offer of a key.

        Raises:
            ValueError: it is not one.
        """
        if not text.startswith(f"{self.space}/"):
            raise ValueError("a key of another space")
        kind, *topic, bridge, publisher = text[len(self.space) + 1 :].split("/")
        if kind not in KINDS or not topic:
            raise ValueError("no key of a bridge")
        return kind, unescape("/".join(topic)), (read_id(bridge), read_id(publisher))


def escape(topic: str) -> str:
    """Return a topic or pattern with what Zenoh gives a meaning of its own escaped as in URLs.

    >>> escape("a#b/50%/**")
    'a%23b/50%25/**'
    """
    return _RESERVED.sub(lambda found: f"%{ord(found[0]):02X}", topic)


def unescape(text: str) -> str:
    """Return the topic of an escaped one.

    >>> unescape("a%23b/50%25")
    'a#b/50%'
    """
    return re.sub(r"%([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), text)
