from __future__ import annotations

import socket
import ssl
import threading

import pytest

from certificates import Certificates
from ipcpy.transport.unreachable import Way, why_unreachable


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server, server.getsockname()[1]


def test_one_that_listens_can_be_reached(listening) -> None:
    assert why_unreachable(Way("127.0.0.1", listening[1])) == ""


def test_nobody_listens(listening) -> None:
    server, port = listening
    server.close()
    assert why_unreachable(Way("127.0.0.1", port)) == "nobody listens there"


def test_a_name_that_nobody_has() -> None:
    assert why_unreachable(Way("nohost.invalid", 1)) == "there is no host 'nohost.invalid'"


def test_one_that_speaks_no_tls_is_told(listening) -> None:
    assert "does not speak TLS" in why_unreachable(Way("127.0.0.1", listening[1], tls=True), timeout=0.2)


def test_a_file_that_is_no_certificate_is_told(listening, tmp_path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate")
    assert "certificates cannot be read" in why_unreachable(Way("127.0.0.1", listening[1], ca=str(wrong), tls=True))


def test_certificates_that_are_not_accepted_are_told_from_both_sides(listening, tmp_path) -> None:
    server, port = listening
    ours, theirs = Certificates(tmp_path / "ours"), Certificates(tmp_path / "theirs")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, ours.issue("localhost")))
    context.load_verify_locations(ours.ca)
    context.verify_mode = ssl.CERT_REQUIRED

    def serve() -> None:
        for _ in range(3):
            sock, _ = server.accept()
            try:
                with context.wrap_socket(sock, server_side=True) as secure:
                    secure.recv(1)
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    good, bad = (tuple(map(str, each.issue("robot"))) for each in (ours, theirs))
    assert why_unreachable(Way("localhost", port, str(ours.ca), *good, tls=True)) == ""
    assert "its certificate is not accepted" in why_unreachable(Way("localhost", port, str(theirs.ca), *good, tls=True))
    assert "TLS fails" in why_unreachable(Way("localhost", port, str(ours.ca), *bad, tls=True))
