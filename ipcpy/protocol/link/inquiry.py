"""Asking a node for its books: how they travel. Pure: frames come in and go out, ``now`` is an argument.

    INQUIRY   what is asked for, and which pages of it  ->
                                                      <-  BOOKS   one page each, with the sender's steady clock

An inquiry is answered only to a peer, with at most ``MAX_PAGES`` datagrams that fit the way; who wants more asks on,
page by page, and asks again for those that got lost. A node that says nothing of BOOKS in its greeting is not asked: it
may be older. Knows no sockets, and not what is in a page (rows.py). See docs/protocol.md.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

from ...checksum import crc32
from ...records import NamedTuple
from ...timeouts import NEVER
from ..wire import CRC_RESIDUE, FLAG_SEALED, OVERHEAD, VERSION, Frame, Kind, Malformed, frames, pack_frame

__all__ = ["MAX_PAGES", "Inquiry", "Page", "Question", "What", "is_books", "is_inquiry", "pack_inquiry", "pack_page"]
__all__ += ["room_for", "unpack_inquiry", "unpack_page"]

INQUIRY_BODY = Struct("<IBBHQ")  # number, what, pages wanted, first page, about
PAGE_BODY = Struct("<IHHQ")  # number of the inquiry, page, pages, steady; then the content
INQUIRY_SIZE = OVERHEAD + INQUIRY_BODY.size  # 52
INQUIRY = Struct("<IxB2xQQ8xIBBHQ")  # a whole one: length, version and kind, flags, source, token, and the body
INQUIRY_WORD = INQUIRY_SIZE | VERSION << 16 | Kind.INQUIRY << 24
MAX_PAGES = 8  # that answer one inquiry: 8 * 1,200 bytes on a network
ALL_PAGES = 4_096  # of one answer that are taken, 4.5 MB on a network; more are not asked for
ALL_BYTES = 8 << 20  # of one answer that are kept
NETWORK_PAGE = 1_200 - OVERHEAD - PAGE_BODY.size  # 1,148: no datagram of the link has more than 1,200 bytes
LOOPBACK_PAGE = 32_000 - OVERHEAD - PAGE_BODY.size
AGAIN = (0.03, 0.06, 0.12, 0.25)  # seconds without news after which is asked again; the last one repeats


class What(IntEnum):
    """What is asked for."""

    FLOWS = 0  # the rows of all publishers and subscribers
    ALL_FLOWS = 1  # and of ipcpy's own topics
    WHY = 2  # what ``why()`` of a publisher or subscriber says, in UTF-8


class Inquiry(NamedTuple):
    """A question.

    Attributes:
        source: the id of the node that asks.
        token: that the receiver gave for its address.
        number: of the question, chosen by who asks.
        what: see What; what is not known there is not answered.
        pages: how many pages are wanted.
        first: the first of them, from 0 on.
        about: the id of a publisher or subscriber; 0 where that does not matter.
    """

    source: int
    token: int
    number: int
    what: int
    pages: int
    first: int
    about: int


class Page(NamedTuple):
    """A page of the answer.

    Attributes:
        source, token: as in a question.
        number: of the question.
        page: its number, from 0 on.
        pages: how many there are.
        steady_ns: what the steady clock of the answering node showed when it counted.
        content: of the page.
    """

    source: int
    token: int
    number: int
    page: int
    pages: int
    steady_ns: int
    content: bytes


def room_for(*, loopback: bool) -> int:
    """Return how many bytes the content of a page may have."""
    return LOOPBACK_PAGE if loopback else NETWORK_PAGE


def is_inquiry(datagram: bytes) -> bool:
    """Tell whether a datagram may be a question, at a glance."""
    return len(datagram) == INQUIRY_SIZE and datagram[3] == Kind.INQUIRY


def is_books(datagram: bytes) -> bool:
    """Tell whether a datagram may be a page of an answer, at a glance."""
    return len(datagram) >= OVERHEAD + PAGE_BODY.size and datagram[3] == Kind.BOOKS


def pack_inquiry(inquiry: Inquiry) -> bytes:
    """Build a question."""
    body = INQUIRY_BODY.pack(inquiry.number, inquiry.what, inquiry.pages, inquiry.first, inquiry.about)
    return pack_frame(Kind.INQUIRY, inquiry.source, inquiry.token, 0, body)


def unpack_inquiry(datagram: bytes) -> Inquiry:
    """Read a question, which is alone in its datagram.

    Raises:
        Malformed: it is none.
    """
    if len(datagram) == INQUIRY_SIZE and crc32(datagram) == CRC_RESIDUE:
        told, flags, source, token, number, what, pages, first, about = INQUIRY.unpack_from(datagram)
        if told == INQUIRY_WORD and not flags & FLAG_SEALED:
            return Inquiry(source, token, number, what, min(pages, MAX_PAGES), first, about)
    _only_frame(datagram, Kind.INQUIRY)  # which says what is wrong
    raise Malformed("malformed")


def pack_page(page: Page) -> bytes:
    """Build a page of an answer."""
    body = PAGE_BODY.pack(page.number, page.page, page.pages, page.steady_ns) + page.content
    return pack_frame(Kind.BOOKS, page.source, page.token, 0, body)


def unpack_page(datagram: bytes) -> Page:
    """Read a page of an answer, which is alone in its datagram.

    Raises:
        Malformed: it is none.
    """
    frame = _only_frame(datagram, Kind.BOOKS)
    if len(frame.body) < PAGE_BODY.size:
        raise Malformed("malformed")
    number, page, pages, steady_ns = PAGE_BODY.unpack_from(frame.body)
    if not page < pages:
        raise Malformed("malformed")
    return Page(frame.source, frame.seq, number, page, pages, steady_ns, bytes(frame.body[PAGE_BODY.size :]))


def _only_frame(datagram: bytes, kind: Kind) -> Frame:
    found = list(frames(datagram))
    if len(found) != 1 or found[0].kind != kind:
        raise Malformed("malformed")
    return found[0]


class Question:
    """One question to one peer, until all pages of the answer are there.

    Args:
        number: of the question, the same in all its inquiries.
        now: when it is asked first.

    Attributes:
        pages: what has come, by page.
        due: when to ask (again); ``inf`` once it is answered.
    """

    def __init__(self, number: int, what: What, about: int, now: float) -> None:
        self.number = number
        self.pages: dict[int, Page] = {}
        self.due = now
        self._what = what
        self._about = about
        self._count = 1  # pages that there are, for all that is known
        self._size = 0  # bytes that have come
        self._asked: set[int] = set()  # of those on their way
        self._tries = 0

    @property
    def answered(self) -> bool:
        """Whether all pages are there."""
        return len(self.pages) >= self._count

    def ask(self, source: int, token: int, now: float) -> bytes | None:
        """Build the inquiry that is due: for the first pages that are missing; None if none is."""
        missing = next((page for page in range(self._count) if page not in self.pages), None)
        if missing is None:
            self.due = NEVER
            return None
        self._asked = set(range(missing, missing + MAX_PAGES)) - self.pages.keys()
        self.due = now + AGAIN[min(self._tries, len(AGAIN) - 1)]
        self._tries += 1
        return pack_inquiry(Inquiry(source, token, self.number, self._what, MAX_PAGES, missing, self._about))

    def receive(self, page: Page, now: float) -> None:
        """Take a page, in a time that does not grow with their number; of another question, or twice, it is ignored."""
        if page.number != self.number or page.page in self.pages or self.answered:
            return
        count = min(page.pages, ALL_PAGES)
        if page.page >= count:
            return
        if count < self._count:
            self.pages = {number: kept for number, kept in self.pages.items() if number < count}
        self._count = count
        self.pages[page.page] = page
        self._size += len(page.content)
        if self._size > ALL_BYTES:
            self._count = len(self.pages)
        self._asked.discard(page.page)
        if self.answered:
            self.due = NEVER
        elif all(asked >= count for asked in self._asked):
            self._tries, self.due = 0, now

    def content(self) -> bytes:
        """Return all that has come, in order."""
        return b"".join(self.pages[number].content for number in sorted(self.pages))
