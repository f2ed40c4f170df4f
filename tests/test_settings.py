"""Settings: arguments before environment, and errors that say what was expected."""

from __future__ import annotations

import pytest

from ipcpy.errors import ArgumentError
from ipcpy.settings import StaticPeer, from_environment, parse_peer


def test_defaults():
    settings = from_environment(environ={})
    assert (settings.domain, settings.interfaces, settings.peers) == ("default", (), ())


def test_the_environment_is_read():
    environ = {"IPCPY_DOMAIN": "r7", "IPCPY_INTERFACES": " lo, eth0 ,", "IPCPY_PEERS": "10.0.0.1, robot:5000"}
    settings = from_environment(environ=environ)
    assert settings.domain == "r7"
    assert settings.interfaces == ("lo", "eth0")
    assert settings.peers == (StaticPeer("10.0.0.1"), StaticPeer("robot", 5000))


def test_arguments_have_precedence():
    environ = {"IPCPY_DOMAIN": "r7", "IPCPY_INTERFACES": "lo", "IPCPY_PEERS": "10.0.0.1"}
    settings = from_environment("mine", ["eth1"], [], environ)
    assert (settings.domain, settings.interfaces, settings.peers) == ("mine", ("eth1",), ())


@pytest.mark.parametrize("domain", ["\n", "x" * 256, 5])
def test_a_wrong_domain_is_refused(domain):
    with pytest.raises(ArgumentError, match="domain is a short printable text"):
        from_environment(domain, environ={})


@pytest.mark.parametrize("text", ["host:", "host:0", "host:65536", "host:x", ":5", "a:-1", "", " "])
def test_a_wrong_peer_is_refused(text):
    with pytest.raises(ArgumentError, match="a peer is 'host' or 'host:port'"):
        parse_peer(text)


def test_wrong_lists_are_refused():
    with pytest.raises(ArgumentError, match="peers are texts"):
        from_environment(peers=[5], environ={})
