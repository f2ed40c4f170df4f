"""Whether mDNS can be had here, as the doctor asks. Knows zeroconf's version and one question; sends nothing."""

from __future__ import annotations

__all__ = ["question", "zeroconf_error", "zeroconf_version"]


def question(id: int) -> bytes:
    """Return the packet that asks who has a service of ours.

    Who sends it from another port than 5353 is answered at that port (RFC 6762, 6.7).

    Args:
        id: 16 bits, echoed in the answers.
    """
    head = id.to_bytes(2, "big") + b"\0\0\0\1\0\0\0\0\0\0"  # a question, one of them
    return head + b"\6_ipcpy\4_udp\5local\0" + b"\0\x0c\0\1"  # PTR, IN


def zeroconf_version() -> str | None:
    """Return the version of python-zeroconf that is installed; None if none is known."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("zeroconf")
    except PackageNotFoundError:
        return None


def zeroconf_error() -> str:
    """Return why python-zeroconf cannot be imported; empty if it can be (the import takes 55 ms)."""
    try:
        import zeroconf  # noqa: F401
    except Exception as error:  # a broken extension module raises anything
        return f"{type(error).__name__}: {error}"
    return ""
