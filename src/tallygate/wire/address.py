"""Which addresses may be connected to: checked on the resolved address, at the time of connecting.

A name that resolves to the cloud's metadata service or to our own listener is refused however it
is spelled; private ranges are an operator's right, never a user's.
"""

import ipaddress

_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254")
)


def why_refused(
    host: str, port: int, *, is_private_allowed: bool, own: frozenset[tuple[str, int]]
) -> str:
    """The reason why a resolved address must not be connected to, or nothing."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address in _METADATA or address.is_link_local:
        return "a link-local or metadata address"
    if address.is_multicast or address.is_unspecified:
        return "not an address of one host"
    if (str(address), port) in own:
        return "this gateway's own listener"
    if not is_private_allowed and not address.is_global:
        return "a private address"
    return ""
