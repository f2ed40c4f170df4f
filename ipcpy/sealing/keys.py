"""Group keys: what a key is, what is derived from it, and how a key file writes it. Knows bytes and text; nothing of
files, sessions or datagrams. See docs/protocol.md, section 9.

Errors name lines and lengths, never what stands in a line: a key does not belong into a log.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NoReturn, Protocol

from ..errors import ArgumentError
from ..fast import compiled
from .words import spell

__all__ = ["ALGORITHMS", "Buffer", "Cipher", "Key", "Keyring", "cipher", "expand", "extract", "quick_algorithms"]

Buffer = bytes | bytearray | memoryview

ALGORITHMS = ("chacha20-poly1305", "aes-256-gcm")
"""How a key seals: RFC 8439, and NIST SP 800-38D. The first one is the usual one."""

SECRET = 32  # bytes of a key, and of what is derived from it for a session
ID = 4  # bytes of a key's id
MOST = 16  # keys in one file: a node that is sent an id that several have tries them all
LONGEST = 16_384  # bytes of a key file: 16 keys need 1,100, the rest is for comments
MARK = "ipcpy-key-1"

_DISTINCT = 8  # values among 32 random bytes; fewer happen once in 10^30
_CODED = 44  # characters of 32 bytes in base64
_FORM = f"'{MARK} {ALGORITHMS[0]} ' and {_CODED} characters"


class Cipher(Protocol):
    """An AEAD with the key of a session. A nonce has 12 bytes and is used once; the tag, of 16 bytes, comes last."""

    def encrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None) -> bytes:
        """Return data sealed, 16 bytes longer."""

    def decrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None) -> bytes:
        """Return what was sealed; raises ``cryptography.exceptions.InvalidTag`` if it is not as it was."""


@dataclass(frozen=True, repr=False)
class Key:
    """A key that a group of nodes shares. Its ``repr`` shows the fingerprint, never the secret.

    Attributes:
        algorithm: how it seals, one of ``ALGORITHMS``.
        secret: 32 random bytes.
    """

    algorithm: str
    secret: bytes

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ArgumentError(f"a key is for {' or '.join(ALGORITHMS)}, not for {self.algorithm!r:.40}")
        if len(self.secret) != SECRET:
            raise ArgumentError(f"a key has {SECRET} bytes, not {len(self.secret)}")

    @cached_property
    def id(self) -> bytes:
        """4 bytes that datagrams show so that their receiver knows the key. Two keys may share them."""
        return self.derive(f"ipcpy 1 key id {self.algorithm}".encode(), ID)

    @property
    def fingerprint(self) -> str:
        """The id as four words, for people."""
        return spell(self.id)

    def session_cipher(self, session: bytes) -> Cipher:
        """Return the cipher of a session.

        Args:
            session: 12 bytes, new with every life of a node.

        Raises:
            ImportError: if ``cryptography`` is not installed; see ``keyfile.need_extra``.
        """
        info = f"ipcpy 1 session {self.algorithm} ".encode() + session
        return cipher(self.algorithm, self.derive(info, SECRET))

    def derive(self, info: bytes, size: int) -> bytes:
        """Return bytes that only who has the key can know: HKDF-SHA256 (RFC 5869) with the salt ``ipcpy``.

        What differs from one to the next is in ``info``, so a session costs one HMAC: who sends forged sessions makes
        a node derive a key for each.

        Args:
            info: what they are for.
            size: how many, up to 32.
        """
        return expand(self._extracted, info, size)

    @cached_property
    def _extracted(self) -> bytes:
        return extract(b"ipcpy", self.secret)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled: it belongs into its file only")

    def __repr__(self) -> str:
        return f"<ipcpy.Key {self.algorithm} {self.fingerprint!r}>"


@dataclass(frozen=True)
class Keyring:
    """The keys of a file, in its order: all are accepted, the first one seals.

    Attributes:
        keys: at least one, no two alike.
    """

    keys: tuple[Key, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise ArgumentError("a keyring has at least one key")

    @property
    def first(self) -> Key:
        """The key that seals what is sent."""
        return self.keys[0]

    def with_id(self, id: bytes) -> tuple[Key, ...]:
        """Return the keys that have an id: none, one, or by chance several."""
        return self._by_id.get(bytes(id), ())

    @cached_property
    def _by_id(self) -> dict[bytes, tuple[Key, ...]]:
        found: dict[bytes, tuple[Key, ...]] = {}
        for key in self.keys:
            found[key.id] = (*found.get(key.id, ()), key)
        return found

    @classmethod
    def parse(cls, data: bytes) -> Keyring:
        """Read what stands in a key file: a key a line; empty lines and those that begin with ``#`` say nothing.

        Raises:
            ArgumentError: (a ValueError) what is wrong, as half a sentence: "is empty".
        """
        if len(data) > LONGEST:
            raise ArgumentError(f"is longer than {LONGEST:,} bytes, so it is no key file")
        if not data.strip():
            raise ArgumentError("is empty; `ipcpy key new` makes one with a key")
        keys: dict[bytes, Key] = {}
        for number, line in enumerate(data.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith(b"#"):
                key = _parse_line(line, number)
                if key.secret in keys:
                    raise ArgumentError(f"has one key twice, again in line {number}")
                keys[key.secret] = key
        if not keys:
            raise ArgumentError("has comments only and no key; `ipcpy key new` makes one")
        if len(keys) > MOST:
            raise ArgumentError(f"has {len(keys)} keys; more than {MOST} are not kept")
        return cls(tuple(keys.values()))

    def text(self) -> str:
        """Return the lines of a key file with these keys, as ``parse`` reads them."""
        return "".join(f"{MARK} {key.algorithm} {b64encode(key.secret).decode()}\n" for key in self.keys)


def _parse_line(line: bytes, number: int) -> Key:
    here = f"line {number}"
    words = line.split()
    if words[0] != MARK.encode():
        if re.fullmatch(rb"ipcpy-key-[0-9]{1,6}", words[0]):
            raise ArgumentError(f"has a key of another form in {here}: it was made by a newer ipcpy")
        raise ArgumentError(f"is no key file: {here} is not {_FORM}")
    algorithm = words[1].decode("ascii", "replace") if len(words) > 1 else ""
    if len(words) < 3 or (len(words) == 3 and len(words[2]) < _CODED):
        came = len(words[2]) if len(words) == 3 else 0
        raise ArgumentError(f"is truncated: {here} is not {_FORM}, but has {came} of them")
    if len(words) > 3:
        raise ArgumentError(f"has more than a key in {here}: it is {_FORM}")
    if algorithm not in ALGORITHMS:
        raise ArgumentError(f"has a key in {here} for an algorithm that is not known: {' and '.join(ALGORITHMS)} are")
    try:
        secret = b64decode(words[2], validate=True)
    except ValueError:
        secret = b""
    if len(secret) != SECRET or b64encode(secret) != words[2]:
        raise ArgumentError(f"has a damaged key in {here}: it is not base64 of {SECRET} bytes")
    if len(set(secret)) < _DISTINCT:
        raise ArgumentError(f"has a key in {here} that anybody can guess; `ipcpy key new` makes a random one")
    return Key(algorithm, secret)


def extract(salt: bytes, secret: bytes) -> bytes:
    """Return HKDF-Extract of RFC 5869, 2.2, with SHA-256: 32 bytes."""
    return hmac.digest(salt or bytes(SECRET), secret, "sha256")


def expand(extracted: bytes, info: bytes, size: int) -> bytes:
    """Return HKDF-Expand of RFC 5869, 2.3, with SHA-256: up to 32 bytes."""
    return hmac.digest(extracted, info + b"\x01", "sha256")[:size]


def cipher(algorithm: str, secret: bytes) -> Cipher:
    """Return what seals and opens with a key: the system's libcrypto, where the compiled part finds it, or
    ``cryptography``. Both are OpenSSL, and make the same bytes.

    Raises:
        ImportError: if ``cryptography`` is not installed.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers import aead

    if algorithm in quick_algorithms():
        assert compiled is not None
        found: Cipher = compiled.Cipher(algorithm, secret, InvalidTag)
        return found
    return aead.ChaCha20Poly1305(secret) if algorithm == ALGORITHMS[0] else aead.AESGCM(secret)


@cache
def quick_algorithms() -> tuple[str, ...]:
    """Return the algorithms for which the compiled part has found a libcrypto that passes a test."""
    return () if compiled is None else tuple(compiled.find_algorithms())
