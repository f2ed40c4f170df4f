"""IPv4 addresses: which are of hosts, of groups, of this host only."""

from __future__ import annotations

from ipcpy.addresses import LOOPBACK, is_group, is_host, is_loopback


def test_addresses_of_hosts_and_groups():
    assert is_host("1.2.3.4")
    assert is_host("223.255.255.255")
    assert not any(
        map(is_host, ("0.0.0.0", "224.0.0.1", "255.255.255.255", "1.2.3", "1.2.3.", "1.2.3.4.5", "a", 5, None))
    )
    assert is_group("224.0.0.1")
    assert is_group("239.255.255.255")
    assert not is_group("240.0.0.1")


def test_loopback():
    assert is_loopback(LOOPBACK) and is_loopback("127.1.2.3")
    assert not is_loopback("12.7.0.1") and not is_loopback("")
