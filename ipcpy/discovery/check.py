"""Whether mDNS can be had here. Knows what zeroconf has to be; nothing of announcing."""

from __future__ import annotations

__all__ = ["question", "zeroconf_error", "zeroconf_version"]


def question(id: int) -> bytes:
    """Build the question who has a service of ours (RFC 6762, 6.7: who asks from a port of his own is answered there).

    Args:
        id: 16 bits, echoed in the answers.
    """
    head = id.to_bytes(2, "big") + b"\0\0\0\1\0\0\0\0\0\0"  # a question, one of them
    return head + b"\6_ipcpy\4_udp\5local\0" + b"\0\x0c\0\1"  # PTR, IN


def zeroconf_version() -> str | None:
    """Give the version of python-zeroconf that is installed; None if none is known."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("zeroconf")
    except PackageNotFoundError:
        return None


def zeroconf_error() -> str:
    """Say why python-zeroconf cannot be imported; empty if it can (55 ms)."""
    try:
        import zeroconf  # noqa: F401
    except Exception as error:  # a broken extension module raises anything
        return f"{type(error).__name__}: {error}"
    return ""
