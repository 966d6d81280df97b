"""Addresses of clients: whether one is within some networks."""

import ipaddress

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A network as somebody writes it; ValueError says what is wrong with it.

    Clients that come over IPv4 are known by their IPv4 address, also behind a listener that shows
    it mapped into IPv6: a network of such is one of IPv4.
    """
    if "%" in text:
        raise ValueError(f"{text!r} names a link of one machine")
    network = ipaddress.ip_network(text)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.ip_network((mapped, network.prefixlen - 96))


def is_address_allowed(address: str, allowed: tuple[str, ...]) -> bool:
    """`allowed` as a key has it; an address that cannot be read is in no network."""
    return is_within(address, tuple(ipaddress.ip_network(one, strict=False) for one in allowed))


def is_within(address: str, networks: Networks) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed.version == one.version and parsed in one for one in networks)


def parse_networks(text: str) -> Networks:
    """CIDRs separated by commas; ValueError names a bad one."""
    return tuple(
        ipaddress.ip_network(one.strip(), strict=False) for one in text.split(",") if one.strip()
    )
