"""Networks that an operator names: what is in them is let in, so a slip must not pass unseen."""

import ipaddress

import pytest

from tallygate.core.cloudflare import RANGES, networks_of


def is_in(address: str, text: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return any(parsed in one for one in networks_of(text) if one.version == parsed.version)


def test_the_word_stands_for_all_published_ranges() -> None:
    assert len(networks_of("Cloudflare")) == len(RANGES) == 22
    for address in (
        "173.245.48.1",
        "104.27.255.255",
        "2606:4700::6810:85e5",
        "2a06:98c0:3600::103",
    ):
        assert is_in(address, "cloudflare")
    for address in ("1.1.1.1", "104.28.0.0", "127.0.0.1", "2606:4701::1", "::1"):
        assert not is_in(address, "cloudflare")


def test_words_and_networks_are_joined() -> None:
    text = " 10.1.2.3/8, cloudflare ,2001:db8::/32,192.0.2.7,"
    assert len(networks_of(text)) == 25
    assert is_in("10.200.0.1", text)
    assert is_in("192.0.2.7", text)
    assert not is_in("192.0.2.8", text)
    assert networks_of("") == ()


@pytest.mark.parametrize(
    "text", ["cloudflare.com", "10.0.0.0/33", "localhost", "10.0.0.0 192.0.2.1"]
)
def test_what_is_no_network_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=text.split("/")[0].split(" ")[0]):
        networks_of(text)
