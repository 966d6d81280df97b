"""Networks that an operator names: CIDRs, or the word `cloudflare` for those that Cloudflare uses.

The table is what Cloudflare published at https://www.cloudflare.com/ips/ and had not changed by
11 February 2026. Ranges are added rarely; until a new release knows one, it is named as a CIDR.
"""

import ipaddress
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CLOUDFLARE: Final = "cloudflare"
RANGES: Final = (
    *("173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22"),
    *("141.101.64.0/18", "108.162.192.0/18", "190.93.240.0/20", "188.114.96.0/20"),
    *("197.234.240.0/22", "198.41.128.0/17", "162.158.0.0/15", "104.16.0.0/13"),
    *("104.24.0.0/14", "172.64.0.0/13", "131.0.72.0/22"),
    *("2400:cb00::/32", "2606:4700::/32", "2803:f800::/32", "2405:b500::/32"),
    *("2405:8100::/32", "2a06:98c0::/29", "2c0f:f248::/32"),
)


def networks_of(text: str) -> tuple[Network, ...]:
    """Networks separated by commas; ValueError names what is none."""
    found: list[Network] = []
    for word in (one.strip() for one in text.split(",")):
        if word.lower() == CLOUDFLARE:
            found += map(ipaddress.ip_network, RANGES)
        elif word:
            found.append(ipaddress.ip_network(word, strict=False))
    return tuple(found)
