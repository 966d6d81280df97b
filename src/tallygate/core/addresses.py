"""Addresses of clients: whether one is within some networks."""

import ipaddress

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


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
