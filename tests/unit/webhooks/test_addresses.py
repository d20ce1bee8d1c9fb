import ipaddress

import pytest

from fraud.errors import SettingsError
from fraud.webhooks.addresses import Refused, choose_addresses, parse_policy

PRIVATE = [
    "10.0.0.1",
    "172.16.5.5",
    "192.168.1.1",
    "100.64.0.1",
    "127.0.0.1",
    "::1",
    "fd12::1",
    "::ffff:10.0.0.1",
]
NEVER_BY_1 = [
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "100.100.100.200",
    "fd00:ec2::254",
    "168.63.129.16",
    "fe80::1",
    "fe80::1%eth0",
    "224.0.0.1",
    "ff02::1",
    "0.0.0.0",  # noqa: S104 - an address that must be refused
    "255.255.255.255",
    "192.0.0.192",
    "198.18.0.1",
    "203.0.113.9",
    "2002:7f00:1::1",
    "2001::1",
    "2001:db8::1",
    "64:ff9b::7f00:1",
    "::7f00:1",
    "::",
    "240.0.0.1",
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"]


def allowed(setting: str, address: str, scheme: str = "https") -> bool:
    try:
        parse_policy(setting).check(ipaddress.ip_address(address), scheme)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("address", PRIVATE + NEVER_BY_1)
def test_by_default_nothing_but_public_addresses_is_open(address: str) -> None:
    assert not allowed("", address) and not allowed("0", address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_open_over_https_only(address: str) -> None:
    assert allowed("", address) and not allowed("", address, "http") and not allowed("1", address, "http")


@pytest.mark.parametrize("address", PRIVATE)
def test_1_opens_ones_own_network_and_http_on_this_machine_only(address: str) -> None:
    assert allowed("1", address)
    assert allowed("1", address, "http") == ipaddress.ip_address(address).is_loopback


@pytest.mark.parametrize("address", NEVER_BY_1)
def test_1_opens_neither_metadata_services_nor_special_networks(address: str) -> None:
    assert not allowed("1", address)


def test_a_listed_network_is_open_with_http_and_nothing_beside_it() -> None:
    setting = "10.1.0.0/16, fd12::/32"
    assert allowed(setting, "10.1.2.3", "http") and allowed(setting, "fd12::5", "http")
    assert allowed(setting, "::ffff:10.1.2.3", "http")
    assert not allowed(setting, "10.2.0.1") and not allowed(setting, "127.0.0.1")
    assert allowed("169.254.0.0/16", "169.254.169.254", "http"), "who lists it means it"


@pytest.mark.parametrize("setting", ["yes", "10.0.0.0/99", "10.0.0.1/8", "2"])
def test_a_setting_that_is_no_network_is_refused(setting: str) -> None:
    with pytest.raises(SettingsError, match="FRAUD_WEBHOOK_ALLOW_PRIVATE"):
        parse_policy(setting)


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    with pytest.raises(Refused):
        choose_addresses("n", 443, "https", parse_policy(""), lambda h, p: ("1.1.1.1", "10.0.0.1"))
    with pytest.raises(OSError, match="no address"):
        choose_addresses("n", 443, "https", parse_policy(""), lambda h, p: ())
