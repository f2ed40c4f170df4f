"""Settings: arguments before environment, and errors that say what was expected."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

import pytest

from ipcpy.errors import ArgumentError
from ipcpy.settings import StaticPeer, default_key_file, find_key_file, from_environment, parse_peer


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


@pytest.mark.parametrize("domain", [" robot7", "robot7 ", "\u2003a"])
def test_a_domain_with_a_blank_around_it_is_refused_as_an_argument_and_stripped_in_the_environment(domain):
    with pytest.raises(ArgumentError):
        from_environment(domain, environ={})
    assert from_environment(environ={"IPCPY_DOMAIN": " robot7 "}).domain == "robot7"


@pytest.mark.parametrize("name", ["eth0;eth1", "eth0 eth1", "10.0.0.0/24", "eth0:1", "fe80::1", "e\x1bth", "\udce4th"])
def test_what_can_be_no_interface_is_refused(name):
    with pytest.raises(ArgumentError, match="interfaces are names such as 'eth0' or IPv4 addresses"):
        from_environment(interfaces=["eth0", name], environ={})
    with pytest.raises(ArgumentError, match="interfaces are names"):
        from_environment(environ={"IPCPY_INTERFACES": f"eth0,{name}"})


def test_windows_has_blanks_in_the_names_of_interfaces(monkeypatch):
    monkeypatch.setattr("ipcpy.settings.sys.platform", "win32")
    assert from_environment(interfaces="Ethernet 2,Wi-Fi", environ={}).interfaces == ("Ethernet 2", "Wi-Fi")
    with pytest.raises(ArgumentError):
        from_environment(interfaces="Ethernet 2;Wi-Fi", environ={})


@pytest.mark.parametrize("interfaces", ["lo", "127.0.0.1", "lo,127.0.0.2"])
def test_loopback_alone_is_known_by_name_and_address(interfaces):
    assert from_environment(interfaces=interfaces, environ={}).only_loopback
    assert not from_environment(interfaces=interfaces + ",eth0", environ={}).only_loopback


@pytest.mark.parametrize("domain", ["\n", "x" * 256, 5, "\udce4"])
def test_a_wrong_domain_is_refused(domain):
    with pytest.raises(ArgumentError, match="domain is a short printable text"):
        from_environment(domain, environ={})


@pytest.mark.parametrize("text", ["host:", "host:0", "host:65536", "host:x", ":5", "a:-1", "", " "])
def test_a_wrong_peer_is_refused(text):
    with pytest.raises(ArgumentError, match="a peer is 'host' or 'host:port'"):
        parse_peer(text)


@pytest.mark.parametrize("text", ["::1", "fe80::1", "a:1:2", "10.0.0.1:17770:17771"])
def test_a_second_colon_is_refused_with_what_a_host_is(text):
    with pytest.raises(ArgumentError, match="a host is a name or an IPv4 address, got .* with two colons"):
        parse_peer(text)


@pytest.mark.parametrize("text", ["a;b", "a/b", "udp//a", "10.0.0.0/24", "a b", "a\tb:5", "a\x00b", "a\udce4", "a,b"])
def test_what_can_be_no_host_is_refused_with_what_is_wrong_in_it(text):
    with pytest.raises(ArgumentError, match=r"a peer is 'host' or 'host:port'.*comma-separated, got .* with .* in it"):
        parse_peer(text)


@pytest.mark.parametrize("text", ["a..b", "x" * 64 + ".local", "r\u00f6bot.local", "robot.local."])
def test_a_name_that_may_not_resolve_is_a_name(text):
    assert parse_peer(text) == StaticPeer(text)


@pytest.mark.parametrize("wrong", [5, [5], b"10.0.0.1", True])
def test_what_is_no_list_of_texts_is_refused(wrong):
    for what in ("peers", "interfaces"):
        with pytest.raises(ArgumentError, match=f"{what} are texts, comma-separated or one each"):
            from_environment(**{what: wrong}, environ={})


def test_wrong_lists_are_refused():
    with pytest.raises(ArgumentError, match="peers are texts"):
        from_environment(peers=[5], environ={})


@pytest.mark.parametrize(("text", "mib"), [("", 256), ("  ", 256), ("0", 0), (" 16 ", 16), ("1024", 1024), ("007", 7)])
def test_how_much_memory_may_be_shared_is_said_in_mib(text, mib):
    assert from_environment(environ={"IPCPY_SHM": text}).memory == mib << 20
    assert from_environment(environ={}).memory == 256 << 20


@pytest.mark.parametrize("text", ["no", "-1", "1025", "1.5", "64M", "0x10", "1e2", "\u0663", "\u00b2", "1_0", "9" * 30])
def test_what_is_no_amount_of_memory_is_refused_with_what_is_one(text):
    with pytest.raises(ArgumentError, match=r"IPCPY_SHM is how many MiB .* from 0 \(none\) to 1024, got"):
        from_environment(environ={"IPCPY_SHM": text})


@pytest.mark.parametrize(
    ("remap", "pairs"),
    [
        ("imu:=front/imu", (("imu", "front/imu"),)),
        (" a := b ,, /c:=/d", (("a", "b"), ("/c", "/d"))),
        (["a:=b", "c:=d"], (("a", "b"), ("c", "d"))),
        ({"a,b": "c"}, (("a,b", "c"),)),
        ("", ()),
        ({}, ()),
    ],
)
def test_names_are_remapped_by_texts_or_a_dict(remap, pairs):
    assert from_environment(environ={}, remap=remap).remap == pairs
    assert from_environment(environ={"IPCPY_REMAP": "x:=y"}, remap=remap).remap == pairs
    if isinstance(remap, str):
        assert from_environment(environ={"IPCPY_REMAP": remap}).remap == pairs


@pytest.mark.parametrize(
    "remap", ["imu", "imu=gps", "a:=", ":=b", "a:=b,c", "a:=b:=c", 5, [5], {"a": 5}, {5: "a"}, [("a", "b")]]
)
def test_a_wrong_rule_is_refused_with_what_one_is(remap):
    with pytest.raises(ArgumentError, match="remap (is|are)"):
        from_environment(environ={}, remap=remap)


def test_a_namespace_is_an_argument_or_in_the_environment():
    environ = {"IPCPY_NAMESPACE": "robot1"}
    assert from_environment(environ=environ).namespace == "robot1"
    assert from_environment(environ=environ, namespace="robot2").namespace == "robot2"
    assert from_environment(environ=environ, namespace="").namespace == ""
    assert from_environment(environ={}).namespace == ""


# -- the key file ----------------------------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An environment without any key: its variables, and where the usual key files would be."""
    monkeypatch.setattr("ipcpy.settings.sys.platform", "linux")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    (tmp_path / "credentials").mkdir()
    (tmp_path / "config" / "ipcpy").mkdir(parents=True)
    return environ, tmp_path / "credentials" / "ipcpy.key", tmp_path / "config" / "ipcpy" / "key"


def test_without_a_key_file_there_is_no_key(places):
    assert find_key_file(environ=places[0]) == ""
    assert from_environment(environ=places[0]).key == ""


def test_the_users_own_file_is_used_when_it_is_there_and_a_credential_before_it(places):
    environ, credential, own = places
    own.touch()
    assert from_environment(environ=environ).key == str(own)
    credential.touch()
    assert find_key_file(environ=environ) == str(credential)


def test_the_variable_has_precedence_and_may_say_none(places):
    environ, credential, own = places
    credential.touch()
    assert find_key_file(environ={**environ, "IPCPY_KEY_FILE": " /robots/key "}) == "/robots/key"
    assert find_key_file(environ={**environ, "IPCPY_KEY_FILE": ""}) == ""


def test_an_argument_has_precedence_over_all(places):
    environ = {**places[0], "IPCPY_KEY_FILE": "/robots/key", "IPCPY_KEY": "secret"}
    assert find_key_file("/mine", environ) == find_key_file(PurePosixPath("/mine"), environ) == "/mine"
    assert find_key_file(False, environ) == ""
    assert find_key_file("~/key", environ) == os.path.expanduser("~/key")


def test_what_cannot_be_looked_at_is_not_taken_for_no_key(places, monkeypatch):
    """A node that should have a key must not talk in the open because of the rights of a folder."""
    environ, credential, own = places
    own.symlink_to("nothing")
    assert find_key_file(environ=environ) == str(own)

    def forbidden(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ipcpy.settings.os.lstat", forbidden)
    assert find_key_file(environ=environ) == str(credential)


@pytest.mark.parametrize("key", ["", " ", b"/key", True, 5])
def test_a_wrong_key_is_refused(key):
    with pytest.raises(ArgumentError, match="key is the path of a key file, or False for none"):
        find_key_file(key, {})


def test_a_key_in_the_environment_is_refused():
    with pytest.raises(ArgumentError, match="IPCPY_KEY is not read.*IPCPY_KEY_FILE"):
        from_environment(environ={"IPCPY_KEY": "secret"})


def test_the_config_folder_is_the_systems(monkeypatch):
    monkeypatch.setattr("ipcpy.settings.sys.platform", "darwin")
    assert default_key_file({}).endswith("/Library/Application Support/ipcpy/key")
    monkeypatch.setattr("ipcpy.settings.sys.platform", "linux")
    assert default_key_file({}) == os.path.expanduser("~/.config/ipcpy/key")
    assert default_key_file({"XDG_CONFIG_HOME": "relative"}) == ""
    monkeypatch.setattr("ipcpy.settings.sys.platform", "win32")
    assert default_key_file({}) == ""
