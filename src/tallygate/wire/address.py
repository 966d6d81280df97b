"""Which addresses may be connected to: checked on the resolved address, at the time of connecting.

A name that resolves to the cloud's metadata service or to our own listener is refused however it
is spelled; private ranges are an operator's right, never a user's.
"""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Where clouds hand out credentials: AWS and most others, Alibaba, Oracle, Azure, AWS, Google.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        *("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
        *("fd00:ec2::254", "fd20:ce::254"),
    )
)
_CARRIES_IPV4 = tuple(  # in its last 32 bits: compatible, mapped, translated (RFC 6052)
    ipaddress.IPv6Network(text) for text in ("::/96", "::ffff:0:0/96", "64:ff9b::/96")
)


def why_refused(
    host: str, port: int, *, is_private_allowed: bool, own: frozenset[tuple[str, int]]
) -> str:
    """The reason why a resolved address must not be connected to, or nothing."""
    address = _reached_by(ipaddress.ip_address(host.partition("%")[0]))
    if address in _METADATA or address.is_link_local:
        return "a link-local or metadata address"
    if address.is_multicast or address.is_unspecified:
        return "not an address of one host"
    if (str(address), port) in own or (address.is_loopback and _is_own_port(port, own)):
        return "this gateway's own listener"
    if not is_private_allowed and (not address.is_global or _is_site_local(address)):
        return "a private address"
    return ""


def _reached_by(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.sixtofour is not None:
        return address.sixtofour
    if int(address) > 1 and any(address in network for network in _CARRIES_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_own_port(port: int, own: frozenset[tuple[str, int]]) -> bool:
    """All of 127.0.0.0/8 leads to a listener on any address."""
    return any(port == own_port for _, own_port in own)


def _is_site_local(address: Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and address.is_site_local
