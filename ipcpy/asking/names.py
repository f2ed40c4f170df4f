"""Which topics services are made of. Knows names; nothing of what travels on them.

``@ipcpy/service/<name>/<server>`` carries requests to one server, ``@ipcpy/answer/<server>/<client>`` its answers to
one client. A server's id is its own, new with every ``Service``; a client's is that of the publisher of its requests.
"""

from __future__ import annotations

from typing import NamedTuple

from ..errors import ArgumentError
from ..protocol.naming import Naming
from ..protocol.topics import OWN, OwnTopic, check_asked, is_pattern, own_topic

MAX_NAME = 200  # bytes: what is before and after it in the topic takes 32 of its 255
_SERVICE = f"{OWN}/service/"
_ANSWER = f"{OWN}/answer/"
_DIGITS = 16  # of an id


class Place(NamedTuple):
    """A server of a service."""

    service: str
    server: str


class ServiceName(str):
    """The whole name of a service. Its ``repr``, with which errors name it, says what was asked for too.

    Attributes:
        told: what that is.
    """

    told: str

    def __repr__(self) -> str:
        return self.told


def check_service(name: object) -> str:
    """Return the name of a service if it is one: what a topic's may be, and not longer than 200 bytes.

    It is as it was asked for: ``service_name`` makes the whole name of it.

    Raises:
        ArgumentError: it is none.
    """
    if not isinstance(name, str):
        raise ArgumentError(f"a service's name is a str such as 'arm/move', got {type(name).__name__}")
    checked = check_asked(name)[1]
    if is_pattern(checked):
        raise ArgumentError(f"a service's name cannot be a pattern, got {name!r}")
    if len(checked.encode()) > MAX_NAME:
        raise ArgumentError(f"a service's name has at most {MAX_NAME} bytes, got {name!r:.300}")
    return name


def service_name(asked: str, naming: Naming) -> ServiceName:
    """Return what the name of a service becomes at a node.

    Raises:
        ArgumentError: it becomes longer than 200 bytes.
    """
    whole = naming.topic(asked)
    if len(whole.topic.encode()) > MAX_NAME:
        raise ArgumentError(f"a service's name has at most {MAX_NAME} bytes, got {whole.told:.600}")
    name = ServiceName(whole.topic)
    name.told = whole.told
    return name


def requests_topic(service: str, server: str) -> OwnTopic:
    """Return the topic of the requests to one server."""
    return own_topic("service", service, server)


def answers_topic(server: str, client: str) -> OwnTopic:
    """Return the topic of the answers of one server to one client."""
    return own_topic("answer", server, client)


def place_of(topic: str) -> Place | None:
    """Return whose requests a topic carries; None for any other topic.

    >>> place_of("@ipcpy/service/arm/move/0123456789abcdef")
    Place(service='arm/move', server='0123456789abcdef')
    """
    if not topic.startswith(_SERVICE):
        return None
    service, _, server = topic.removeprefix(_SERVICE).rpartition("/")
    return Place(service, server) if service and len(server) == _DIGITS else None


def client_of(topic: str, server: str) -> str | None:
    """Return the client that a topic carries the answers of a server to; None for any other topic."""
    before = f"{_ANSWER}{server}/"
    return topic.removeprefix(before) if topic.startswith(before) else None
