"""Group keys: what is derived from them, against openssl's figures and the RFCs', and what a key file may hold."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import aead
from hypothesis import given, settings
from hypothesis import strategies as st

from ipcpy.errors import ArgumentError
from ipcpy.sealing.keys import ALGORITHMS, LONGEST, MOST, Key, Keyring, cipher, expand, extract, quick_algorithms

SECRET = bytes(range(32))
LEAKS = int(os.environ.get("TEST_LEAKS", "20000"))  # how often something is sealed and opened to see what is left
CHACHA, AES = Key(ALGORITHMS[0], SECRET), Key(ALGORITHMS[1], SECRET)
LINE = b"ipcpy-key-1 chacha20-poly1305 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"

secrets = st.binary(min_size=32, max_size=32).filter(lambda secret: len(set(secret)) >= 8)
keys = st.builds(Key, st.sampled_from(ALGORITHMS), secrets)


def test_hkdf_is_that_of_the_rfc():
    """RFC 5869, A.1 and A.3: with a salt, and without."""
    salt, info = bytes(range(13)), bytes(range(0xF0, 0xFA))
    expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
    assert expand(extract(salt, b"\x0b" * 22), info, 32).hex() == expected
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    assert expand(extract(b"", b"\x0b" * 22), b"", 32).hex() == expected


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which it compares with, is not there")
@pytest.mark.parametrize("key", [CHACHA, AES], ids=ALGORITHMS)
def test_ids_are_what_openssl_derives(key):
    """Another implementation of HKDF, and one of HMAC below it."""
    command = ["openssl", "kdf", "-keylen", "4", "-binary", "-kdfopt", "digest:SHA256"]
    command += [
        "-kdfopt",
        f"hexkey:{SECRET.hex()}",
        "-kdfopt",
        "salt:ipcpy",
        "-kdfopt",
        f"info:ipcpy 1 key id {key.algorithm}",
        "HKDF",
    ]
    assert subprocess.run(command, capture_output=True, check=True).stdout == key.id


def test_the_two_algorithms_have_keys_of_their_own():
    assert CHACHA.id.hex() == "b6a718eb" and CHACHA.fingerprint == "rabbit pilot birch violet"
    assert AES.id != CHACHA.id
    session = bytes(12)
    sealed = {key.session_cipher(session).encrypt(bytes(12), b"", None) for key in (CHACHA, AES)}
    assert len(sealed) == 2


@pytest.mark.parametrize("key", [CHACHA, AES], ids=ALGORITHMS)
def test_a_session_opens_its_own_and_no_other(key):
    from cryptography.exceptions import InvalidTag

    sealed = key.session_cipher(b"session of 1").encrypt(bytes(12), b"hello", b"head")
    assert key.session_cipher(b"session of 1").decrypt(bytes(12), sealed, b"head") == b"hello"
    for wrong in (
        key.session_cipher(b"session of 2"),
        Key(key.algorithm, SECRET[::-1]).session_cipher(b"session of 1"),
    ):
        with pytest.raises(InvalidTag):
            wrong.decrypt(bytes(12), sealed, b"head")


quick = pytest.mark.skipif(not quick_algorithms(), reason="the compiled part, or a libcrypto for it, is not there")
nonces = st.binary(min_size=12, max_size=12)
plain = st.integers(0, 65_455).flatmap(
    lambda size: st.builds(lambda seed: (seed * (size // 8 + 1))[:size], st.binary(min_size=8, max_size=8))
)
associated = st.none() | st.binary(max_size=80)


def theirs(algorithm: str, secret: bytes) -> Any:
    """Return the cipher of ``cryptography``."""
    return {ALGORITHMS[0]: aead.ChaCha20Poly1305, ALGORITHMS[1]: aead.AESGCM}[algorithm](secret)


def test_what_is_not_compiled_is_that_of_cryptography(monkeypatch):
    monkeypatch.setattr("ipcpy.sealing.keys.quick_algorithms", tuple)
    for algorithm in ALGORITHMS:
        assert type(cipher(algorithm, SECRET)) is type(theirs(algorithm, SECRET))


@quick
@pytest.mark.parametrize("algorithm", quick_algorithms())
@given(
    st.binary(min_size=32, max_size=32),
    st.lists(st.tuples(nonces, plain | st.binary(max_size=200), associated), min_size=1, max_size=4),
)
@settings(deadline=None)
def test_both_ciphers_make_the_same_bytes_and_open_each_others(algorithm, secret, texts):
    ours, other = cipher(algorithm, secret), theirs(algorithm, secret)
    assert type(ours) is not type(other)
    for nonce, data, head in texts:
        sealed = ours.encrypt(nonce, data, head)
        assert sealed == other.encrypt(nonce, data, head) and len(sealed) == len(data) + 16
        assert ours.decrypt(nonce, sealed, head) == data == other.decrypt(nonce, sealed, head)


@quick
@pytest.mark.parametrize("algorithm", quick_algorithms())
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 255, 256, 257, 1_399, 65_455])
def test_both_ciphers_make_the_same_bytes_at_any_alignment(algorithm, size):
    ours, other, nonce = cipher(algorithm, SECRET), theirs(algorithm, SECRET), bytes(12)
    data = (SECRET * (size // 32 + 2))[: size + 17]
    for offset in range(17):
        view = memoryview(data)[offset : offset + size]
        sealed = ours.encrypt(bytearray(nonce), view, memoryview(data)[offset : offset + 5])
        assert sealed == other.encrypt(nonce, view, data[offset : offset + 5])
        shifted = memoryview(bytes(offset) + sealed)[offset:]
        assert ours.decrypt(nonce, shifted, data[offset : offset + 5]) == view


@quick
@pytest.mark.parametrize("algorithm", quick_algorithms())
def test_what_is_not_as_it_was_is_refused_and_what_comes_next_is_opened(algorithm):
    ours, nonce, head = cipher(algorithm, SECRET), bytes(range(12)), b"a head of a datagram, as it is sent."
    sealed = ours.encrypt(nonce, b"some text", head)
    wrong = [sealed[:size] for size in range(len(sealed))] + [sealed + b"x"]
    for bit in range(8 * len(sealed)):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        wrong.append(bytes(flipped))
    for each in wrong:
        with pytest.raises(InvalidTag):
            ours.decrypt(nonce, each, head)
        assert ours.decrypt(nonce, sealed, head) == b"some text"
    for parts in ((nonce[::-1], sealed, head), (nonce, sealed, head[1:]), (nonce, sealed, None)):
        with pytest.raises(InvalidTag):
            ours.decrypt(*parts)


@quick
def test_wrong_arguments_of_the_compiled_cipher_are_refused():
    from ipcpy.fast import compiled

    algorithm = quick_algorithms()[0]
    ours = cipher(algorithm, SECRET)
    for arguments in ((algorithm, SECRET[1:], InvalidTag), ("rot13", SECRET, InvalidTag)):
        with pytest.raises(ValueError):
            compiled.Cipher(*arguments)
    with pytest.raises(TypeError, match="class of exceptions"):
        compiled.Cipher(algorithm, SECRET, str)
    for call in (ours.encrypt, ours.decrypt):
        with pytest.raises(ValueError, match="12 bytes"):
            call(bytes(11), bytes(20), None)
        for arguments in ((), (bytes(12),), (bytes(12), bytes(20), None, None), (bytes(12), "text", None)):
            with pytest.raises(TypeError):
                call(*arguments)
        with pytest.raises(BufferError):
            call(bytes(12), memoryview(bytes(40))[::2], None)


@quick
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer keeps what was freed")
def test_nothing_is_left_of_what_was_sealed_and_opened():
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    ours, nonce = cipher(quick_algorithms()[0], SECRET), bytes(12)
    sealed, head = ours.encrypt(nonce, bytes(98), b"head"), b"head"

    def work(times: int) -> None:
        for _ in range(times):
            ours.encrypt(nonce, bytes(98), head)
            ours.decrypt(nonce, sealed, head)
        for _ in range(times // 100):
            cipher(quick_algorithms()[0], SECRET).encrypt(nonce, b"", None)
            with contextlib.suppress(InvalidTag):
                ours.decrypt(nonce, sealed, b"")

    work(2_000)
    before = resident()
    work(LEAKS)
    assert resident() - before < 1 << 20


def test_a_key_is_not_pickled_into_a_file_of_others():
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Keyring((CHACHA,)))


def test_neither_a_repr_nor_an_error_shows_the_secret():
    ring = Keyring((CHACHA, AES))
    assert "rabbit pilot birch violet" in repr(ring)
    assert "x02" not in repr(ring) and "AAEC" not in repr(ring)
    for broken in (LINE[:-3], LINE + LINE, LINE.replace(b"chacha20", b"chacha2"), b"x " + LINE, LINE.strip() + b" x"):
        with pytest.raises(ArgumentError) as caught:
            Keyring.parse(broken)
        assert "AAEC" not in str(caught.value)


@given(st.lists(keys, min_size=1, max_size=MOST, unique_by=lambda key: key.secret))
def test_a_file_reads_as_it_was_written(several):
    ring = Keyring(tuple(several))
    assert Keyring.parse(ring.text().encode()) == ring
    assert Keyring.parse(b"# ours\r\n\n  # too\n" + ring.text().replace("\n", "\r\n").encode()) == ring
    assert ring.first == several[0]
    assert all(key in ring.with_id(key.id) for key in several)
    assert ring.with_id(b"none") == tuple(key for key in several if key.id == b"none")


def test_keys_with_the_same_id_are_all_found():
    class Twin(Key):
        id = CHACHA.id

    ring = Keyring((CHACHA, Twin(ALGORITHMS[0], SECRET[::-1])))
    assert ring.with_id(CHACHA.id) == ring.keys
    assert ring.with_id(bytearray(CHACHA.id)) == ring.keys


def test_no_key_is_not_a_keyring():
    with pytest.raises(ArgumentError, match="at least one"):
        Keyring(())
    with pytest.raises(ArgumentError, match="has 32 bytes, not 31"):
        Key(ALGORITHMS[0], SECRET[1:])
    with pytest.raises(ArgumentError, match="chacha20-poly1305 or aes-256-gcm, not for 'rot13'"):
        Key("rot13", SECRET)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "is empty; `ipcpy key new` makes one"),
        (b" \n\t\n", "is empty"),
        (b"# of the lab\n", "comments only"),
        (b"x" * (LONGEST + 1), "longer than 16,384 bytes"),
        (LINE[:-2], "is truncated: line 1 .* has 43 of them"),
        (LINE[:11], "is truncated: line 1 .* has 0 of them"),
        (LINE[:8], "no key file: line 1"),
        (b"#\n" + LINE + LINE, "one key twice, again in line 3"),
        (LINE + LINE.replace(b"chacha20-poly1305", b"aes-256-gcm"), "one key twice, again in line 2"),
        (LINE.replace(b"chacha20", b"chacha21"), "algorithm that is not known: chacha20-poly1305 and aes-256-gcm are"),
        (LINE.replace(b"key-1", b"key-2"), "made by a newer ipcpy"),
        (LINE.replace(b"=", b"*"), "damaged key in line 1"),
        (LINE.replace(b"8=", b"9="), "damaged key in line 1"),
        (LINE.replace(b"=", b"=AAA"), "damaged key in line 1"),
        (LINE.strip() + b" Tom's\n", "more than a key in line 1"),
        (b"\x00\xff\xfe" * 9, "no key file: line 1"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "no key file: line 1"),
        (b"ipcpy-key-1 aes-256-gcm " + b"A" * 43 + b"=\n", "anybody can guess"),
    ],
)
def test_what_is_no_key_file_is_refused_with_a_sentence(data, text):
    with pytest.raises(ArgumentError, match=text):
        Keyring.parse(data)


def test_there_are_not_more_keys_than_are_tried():
    many = b"".join(Keyring((Key(ALGORITHMS[0], bytes([i]) + SECRET[1:]),)).text().encode() for i in range(MOST + 1))
    with pytest.raises(ArgumentError, match="has 17 keys; more than 16"):
        Keyring.parse(many)
    assert len(Keyring.parse(many[: -len(LINE)]).keys) == MOST


@given(st.binary(max_size=200) | st.binary(max_size=40).map(LINE.__add__))
def test_any_bytes_are_a_keyring_or_an_argument_error(data):
    try:
        assert Keyring.parse(data).keys
    except ArgumentError:
        pass


@pytest.mark.parametrize("position", range(len(LINE) - 1))
def test_a_line_with_one_wrong_character_is_refused_or_another_key(position):
    changed = bytearray(LINE)
    changed[position] ^= 1
    try:
        ring = Keyring.parse(bytes(changed))
    except ArgumentError:
        return
    assert ring.first.secret != SECRET
