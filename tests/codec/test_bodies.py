from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.codec import check_codec
from ipcpy.codec.bodies import Bodies, Verbatim


def test_a_subscriber_with_it_gets_the_bytes_of_publishers_whatever_their_codec() -> None:
    with ipc.Node(interfaces="lo") as node:
        sub = ipc.Subscriber("bodies", Bodies(), node=node)
        for codec, data, body in ((ipc.Raw(), b"abc", b"abc"), (ipc.MsgPack(), 5, b"\x05")):
            with ipc.Publisher("bodies", codec, node=node) as pub:
                pub.wait_for_subscribers(timeout=10)
                pub.publish(data)
                assert bytes(sub.recv(timeout=10).data) == body


def test_it_is_a_codec_and_takes_several_bodies_at_once() -> None:
    assert check_codec(Bodies()).name == "any"
    assert Bodies().decode(b"x") == Bodies().decode_intact(b"x") == b"x"
    assert Bodies().decode_many(b"abcdef", 2) == [b"ab", b"cd", b"ef"]


def test_nothing_is_published_with_it() -> None:
    with pytest.raises(ipc.CodecError, match="only takes what others publish"):
        Bodies().encode(b"x")


def test_verbatim_is_a_codec_that_changes_nothing() -> None:
    codec = check_codec(Verbatim("struct", {"messages": []}))
    assert codec.encode(b"abc") == b"abc"
    assert codec.decode(b"abc") == b"abc"
