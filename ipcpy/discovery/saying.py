"""What a node says by mDNS, as zeroconf's objects: its service, and its questions. Knows DNS-SD (RFC 6763) and the
records of zeroconf; nothing of sockets, or of when to say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .advert import SERVICE_TYPE, Advert, to_txt
from .hearing import PTR, SRV, TXT, A

if TYPE_CHECKING:
    from zeroconf import DNSOutgoing, DNSRecord, ServiceInfo  # type: ignore[attr-defined]  # exported, though not in __all__

__all__ = ["ask_for", "ask_who", "records_of", "service"]

IN = 1  # class of records, RFC 1035
TTL = 4500  # seconds, RFC 6762, 10
MAX_KNOWN = 256  # names in one question: about 12 kB, in packets that fit


def service(advert: Advert, addresses: Sequence[str]) -> ServiceInfo:
    """Return what announces a node.

    Args:
        advert: what it shows.
        addresses: its IPv4 addresses.
    """
    from zeroconf import ServiceInfo

    return ServiceInfo(
        SERVICE_TYPE,
        advert.instance,
        port=advert.port,
        properties=to_txt(advert),
        server=f"ipcpy-{advert.node_id}.local.",  # not the host's name: that record is another responder's
        parsed_addresses=list(addresses),
    )


def records_of(info: ServiceInfo) -> frozenset[DNSRecord]:
    """Return the records that announce a service."""
    return frozenset((info.dns_pointer(), info.dns_service(), info.dns_text(), *info.get_address_and_nsec_records()))


def ask_who(known: Iterable[str]) -> DNSOutgoing:
    """Return the question who is there.

    Args:
        known: names of instances that need not answer (RFC 6762, 7.1); the first 256 are named.
    """
    from zeroconf import DNSPointer  # type: ignore[attr-defined]

    query = _query([(SERVICE_TYPE, PTR)])
    for name in list(dict.fromkeys(known))[:MAX_KNOWN]:
        query.add_answer_at_time(DNSPointer(SERVICE_TYPE, PTR, IN, TTL, name, 0.0), 0)
    return query


def ask_for(missing: Iterable[tuple[str, str]]) -> DNSOutgoing | None:
    """Return the question for what did not come along; None if nothing is missing.

    Args:
        missing: an instance and its server each, the server empty where it is not known either.
    """
    questions: list[tuple[str, int]] = []
    for instance, server in missing:
        questions += [(instance, SRV), (instance, TXT)]
        if server:
            questions.append((server, A))
    return _query(questions) if questions else None


def _query(questions: Iterable[tuple[str, int]]) -> DNSOutgoing:
    from zeroconf import DNSOutgoing, DNSQuestion  # type: ignore[attr-defined]

    query = DNSOutgoing(0)  # a query: no flags
    for name, kind in questions:
        query.add_question(DNSQuestion(name, kind, IN))
    return query
