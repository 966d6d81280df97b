"""An upstream's address is judged as it is connected to, however it is spelled."""

import pytest

from tallygate.wire.address import why_refused

OWN = frozenset((("127.0.0.1", 8787), ("10.0.0.7", 8787)))


def is_refused(host: str, port: int = 443, *, is_private_allowed: bool = True) -> bool:
    return bool(why_refused(host, port, is_private_allowed=is_private_allowed, own=OWN))


@pytest.mark.parametrize(
    "host",
    [
        *("169.254.169.254", "169.254.170.2", "169.254.0.1", "100.100.100.200"),
        *("192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"),
        *("fe80::1", "fe80::1%eth0", "FE80:0:0::1"),
        *("::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::169.254.169.254"),
        *("64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1"),
        *("0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1", "::ffff:224.0.0.1"),
    ],
)
def test_metadata_and_addresses_of_no_one_host_are_refused_to_everybody(host: str) -> None:
    """Whoever may name a provider must not get the machine's own credentials by it."""
    assert is_refused(host)
    assert is_refused(host, is_private_allowed=False)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "::ffff:127.0.0.1", "10.0.0.7"]
)
def test_the_gateways_own_listener_is_refused_and_its_neighbours_are_not(host: str) -> None:
    """A provider that is the gateway itself would ask itself for ever."""
    assert is_refused(host, 8787)
    assert not is_refused(host, 11434)


@pytest.mark.parametrize(
    "host",
    [
        *("10.1.2.3", "172.16.0.1", "192.168.1.1", "127.0.0.1", "100.64.0.1", "198.18.0.1"),
        *("::1", "fd12::1", "fec0::1", "::ffff:10.1.2.3", "::10.1.2.3", "64:ff9b::10.1.2.3"),
        *("2002:0a01:0203::1", "192.0.2.1", "2001:db8::1"),
    ],
)
def test_private_addresses_are_for_those_who_may(host: str) -> None:
    assert is_refused(host, is_private_allowed=False)
    assert not is_refused(host, is_private_allowed=True)


@pytest.mark.parametrize(
    "host", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"]
)
def test_public_addresses_are_connected_to(host: str) -> None:
    assert not is_refused(host, is_private_allowed=False)
    assert not is_refused(host, 8787, is_private_allowed=False)
