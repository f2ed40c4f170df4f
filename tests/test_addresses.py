"""IPv4 addresses: which are of hosts, of groups, of this host only."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.addresses import LOOPBACK, is_group, is_host, is_loopback, is_on, network_of, number_of


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


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_networks_are_those_of_the_standard_library(one, other, length):
    ip, interface = str(ipaddress.ip_address(one)), f"{ipaddress.ip_address(other)}/{length}"
    network = ipaddress.ip_interface(interface).network
    assert number_of(ip) == one
    assert is_on(ip, interface) == (ipaddress.ip_address(one) in network)
    assert is_on(str(network[0]), interface) and is_on(str(network[-1]), interface)
    assert (network_of(interface) == network_of(f"{ip}/{length}")) == is_on(ip, interface)


@pytest.mark.parametrize("text", ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "a.b.c.d", "::1", "1.2.3.4/8"])
def test_what_is_no_address_has_no_number(text):
    with pytest.raises(ValueError, match="no IPv4 address"):
        number_of(text)


@pytest.mark.parametrize("text", ["1.2.3.4", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3/8", "host/8"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError):
        network_of(text)
