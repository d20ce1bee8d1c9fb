"""Which network addresses a webhook may be sent to: by default the public ones only.

An address that somebody writes into a setting, or that a name server gives for it, must not make this machine
talk to its own services, to its neighbours or to a cloud's metadata service (server-side request forgery).
Networks: IANA IPv4 and IPv6 Special-Purpose Address Registries; RFC 6890.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fraud.errors import SettingsError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host, best first; raises OSError if there is none."""


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part) for part in text.split())


_LOOPBACK = _networks("127.0.0.0/8 ::1/128")
_OWN = _networks("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7") + _LOOPBACK
"""What FRAUD_WEBHOOK_ALLOW_PRIVATE=1 opens. Link-local stays closed: it is where clouds keep credentials."""

_NOT_PUBLIC = _OWN + _networks(
    "0.0.0.0/8 169.254.0.0/16 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24"
    " 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4"
    " 168.63.129.16/32"  # a cloud's platform service behind a public number
    # Of IPv6 only 2000::/3 is global unicast; within it, protocol assignments, examples and 6to4.
    " 2001::/23 2001:db8::/32 2002::/16 3fff::/20"
)
_METADATA = _networks(
    "169.254.169.254/32 100.100.100.200/32 fd00:ec2::254/128 fd20:ce::254/128 168.63.129.16/32"
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")


class Refused(Exception):
    """An address may not be used; the text says why."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """The networks that are open besides the public ones, and those where http will do."""

    opened: tuple[Network, ...] = ()
    plain: tuple[Network, ...] = ()

    def check(self, address: IPAddress, scheme: str) -> None:
        """Raise Refused unless the address may be used with this scheme."""
        actual = _unwrap(address)
        listed = any(actual in network for network in self.plain)
        if not listed and any(actual in network for network in _METADATA):
            raise Refused(f"{actual} is a cloud's metadata service")
        if not any(actual in network for network in self.opened) and not _is_public(actual):
            raise Refused(f"{actual} is not a public address; FRAUD_WEBHOOK_ALLOW_PRIVATE opens networks")
        if scheme != "https" and not listed:
            raise Refused("http is for this machine and for networks listed in FRAUD_WEBHOOK_ALLOW_PRIVATE")


def parse_policy(text: str) -> AddressPolicy:
    """Return the policy of FRAUD_WEBHOOK_ALLOW_PRIVATE.

    Empty or 0: public addresses over https. 1: loopback, private, shared and unique local addresses too, and
    http on loopback. Else networks with commas between, with http or https.

    Raises
    ------
    SettingsError
        It is none of these.
    """
    text = text.strip()
    if text in ("", "0"):
        return AddressPolicy()
    if text == "1":
        return AddressPolicy(opened=_OWN, plain=_LOOPBACK)
    try:
        networks = _networks(text.replace(",", " "))
    except ValueError as error:
        raise SettingsError(
            "FRAUD_WEBHOOK_ALLOW_PRIVATE must be 0, 1, or networks such as 10.0.0.0/8 with commas between.",
            code="settings",
            field="FRAUD_WEBHOOK_ALLOW_PRIVATE",
        ) from error
    return AddressPolicy(opened=networks, plain=networks)


def choose_addresses(
    host: str, port: int, scheme: str, policy: AddressPolicy, resolve: Resolver
) -> tuple[str, ...]:
    """Resolve a host once and return addresses to connect to, as they are; one that is refused refuses all.

    Raises
    ------
    Refused
        An address may not be used.
    OSError
        The name has no address.
    """
    addresses = tuple(resolve(host, port))
    if not addresses:
        raise OSError("the name has no address")
    for text in addresses:
        policy.check(ipaddress.ip_address(text), scheme)
    return addresses


def system_resolver(host: str, port: int) -> tuple[str, ...]:
    """Ask the operating system for a host's stream addresses."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def _unwrap(address: IPAddress) -> IPAddress:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.scope_id is not None:
            return ipaddress.IPv6Address(int(address))  # a network holds no address with a scope
    return address


def _is_public(address: IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_V6:
        return False
    return not any(address in network for network in _NOT_PUBLIC)
