"""Which addresses are public, and which others the operator allows.

The networks are those of IANA's registries of special-purpose addresses (RFC 6890) that are not globally reachable, and
a few that are and lead inwards all the same. They stand here because `ipaddress` judges some of them otherwise from one
Python to the next.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Final

from pydantic import AfterValidator

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED_V4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # between a provider and its customers; a cloud's metadata among them
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's own services, at an address that looks public
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the broadcast address
    )
)
_UNICAST_V6: Final = IPv6Network("2000::/3")  # all that is given out; loopback, local and multicast lie outside
_REFUSED_V6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocols' own, Teredo among them: it carries an IPv4 address
        "2001:db8::/32",
        "2002::/16",  # 6to4: the same
        "3fff::/20",
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_HOST: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


def is_public(address: Address) -> bool:
    """Whether anybody on the Internet may reach it; an address that carries another is judged by that."""
    if isinstance(address, IPv6Address):
        carried = _carried(address)
        if carried is None:
            return address in _UNICAST_V6 and not any(address in network for network in _REFUSED_V6)
        address = carried
    return not any(address in network for network in _REFUSED_V4)


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a packet to this one would end at."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator allows besides: networks, and host names whatever address they have."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, text: str) -> "Allowed":
        """Of networks, addresses and host names, by comma. Raises ValueError, which says which is none of these."""
        networks, hosts = [], []
        for one in filter(None, (part.strip().lower() for part in text.split(","))):
            try:
                networks.append(ip_network(one))
            except ValueError:
                if not _HOST.fullmatch(one) or not re.search(r"[a-z]", one):
                    raise ValueError(f"{one!r} is no network, no address and no host name") from None
                hosts.append(one)
        return cls(tuple(networks), frozenset(hosts))

    def names(self, host: str) -> bool:
        """Whether the operator named this host."""
        return host.lower().removesuffix(".") in self.hosts

    def is_inside(self, host: str) -> bool:
        """Whether the operator named this host, or the network of this address."""
        try:
            address = ip_address(host)
        except ValueError:
            return self.names(host)
        return any(address.version == one.version and address in one for one in self.networks)

    def takes(self, address: Address) -> bool:
        """Whether a request may go there, by whatever name."""
        own = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        inside = own or address
        return is_public(address) or any(inside.version == one.version and inside in one for one in self.networks)

    def takes_all(self, addresses: Iterable[str]) -> bool:
        """Whether each is an address, as text, that a request may go to."""
        try:
            return all(self.takes(ip_address(address)) for address in addresses)
        except ValueError:
            return False


def _allowance(text: str) -> str:
    Allowed.of(text)
    return text


AllowedText = Annotated[str, AfterValidator(_allowance)]
"""A setting that `Allowed.of` reads."""
