"""What a CALL between bridges holds; stand-ins at work are in test_services.py."""

from __future__ import annotations

import pytest

from ipcpy.asking.types import Kind
from ipcpy.bridges.standin import joined, kind_and_body


def test_a_request_crosses_with_its_type() -> None:
    kind = Kind("struct", {"messages": [{"id": 1}]})
    assert kind_and_body(joined(kind, b"body")) == (kind, b"body")
    assert kind_and_body(joined(kind, [b"bo", b"dy"])) == (kind, b"body")


@pytest.mark.parametrize("data", [b"", b"\1", b"\xff" * 8, b"\2\0\0\0\x92\1", joined(Kind("", {}), b"")[:5]])
def test_bytes_that_are_no_request_are_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="call"):
        kind_and_body(data)
