"""Why a server cannot be reached: a sentence. Knows TCP and TLS; nothing of who is to be reached, or what for."""

from __future__ import annotations

import contextlib
import socket
import ssl

from ..records import NamedTuple

__all__ = ["Way", "why_unreachable"]

ALERT = 0.5  # seconds that a server has to refuse our certificate; with TLS 1.3 it does so after the handshake


class Way(NamedTuple):
    """How a server is reached.

    Attributes:
        ca: a file with the certificates of those who may sign its; the system's without.
        cert: a file with our own certificate.
        key: a file with its key.
        tls: whether TLS is spoken.
    """

    host: str
    port: int
    ca: str = ""
    cert: str = ""
    key: str = ""
    tls: bool = False


def why_unreachable(way: Way, timeout: float = 2.0) -> str:
    """Try to reach a server, and say why that fails; empty if it does not.

    Args:
        timeout: seconds that each step may take.
    """
    host = way.host.strip("[]")
    try:
        with socket.create_connection((host, way.port), timeout) as sock:
            return _why_no_tls(sock, way, host) if way.tls else ""
    except socket.gaierror:
        return f"there is no host {host!r}"
    except ConnectionRefusedError:
        return "nobody listens there"
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except OSError as error:
        return f"{error.strerror or error}"


def _why_no_tls(sock: socket.socket, way: Way, host: str) -> str:
    try:
        context = ssl.create_default_context(cafile=way.ca or None)
        if way.cert:
            context.load_cert_chain(way.cert, way.key)
    except (ssl.SSLError, OSError) as error:
        return f"our certificates cannot be read: {error}"
    try:
        with context.wrap_socket(sock, server_hostname=host) as secure:
            secure.settimeout(ALERT)
            with contextlib.suppress(TimeoutError):
                secure.recv(1)
        return ""
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not accepted: {error.verify_message}"
    except ssl.SSLError as error:
        return f"TLS fails: {(error.reason or str(error)).replace('_', ' ').lower()}"
    except TimeoutError:
        return "it does not speak TLS: no answer to the handshake"
    except OSError as error:
        return f"it ends the TLS handshake: {error.strerror or error}"
