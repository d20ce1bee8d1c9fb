from pathlib import Path

import pytest

from fraud.errors import SettingsError
from fraud.webhooks.endpoints import parse_address, parse_endpoints
from fraud.webhooks.messages import EVENT_TYPES
from tests.unit.webhooks.conftest import PREVIOUS, SECRET

GOOD = f"""
[[endpoint]]
name = "node-a"
url = "https://node-a.example/webhooks?key=k3y"
events = ["model.promoted", "model.rolled_back"]
secrets = ["{SECRET}", "{PREVIOUS}"]

[[endpoint]]
name = "pager"
url = "https://pager.example:8443/"
secrets = ["{PREVIOUS}"]
"""


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "webhooks.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_names_endpoints_with_their_events_and_secrets(tmp_path: Path) -> None:
    node, pager = parse_endpoints(write(tmp_path, GOOD), ())
    assert (node.name, node.events, node.secrets) == (
        "node-a", ("model.promoted", "model.rolled_back"), (SECRET, PREVIOUS),
    )  # fmt: skip
    assert (node.address.host, node.address.port, node.address.target) == (
        "node-a.example", 443, "/webhooks?key=k3y",
    )  # fmt: skip
    assert pager.events == EVENT_TYPES and pager.address.port == 8443
    assert node.wants("model.promoted") and not node.wants("alert.firing") and node.wants("webhook.ping")


def test_neither_a_secret_nor_a_path_is_shown(tmp_path: Path) -> None:
    node = parse_endpoints(write(tmp_path, GOOD), ())[0]
    assert str(node.address) == "https://node-a.example:443"
    for hidden in (SECRET, PREVIOUS, "k3y", "/webhooks"):
        assert hidden not in repr(node)


def test_addresses_with_commas_take_everything_and_share_the_secrets() -> None:
    text = "https://a.example/x, https://a.example/y ,http://10.0.0.5:7860/"
    endpoints = parse_endpoints(text, (SECRET, PREVIOUS))
    assert [endpoint.name for endpoint in endpoints] == ["a-example", "a-example-2", "10-0-0-5"]
    assert all(e.events == EVENT_TYPES and e.secrets == (SECRET, PREVIOUS) for e in endpoints)
    assert parse_endpoints("  ", ()) == ()


def test_addresses_without_a_secret_are_refused() -> None:
    with pytest.raises(SettingsError, match="FRAUD_WEBHOOK_SECRETS"):
        parse_endpoints("https://a.example/", ())


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example/", "https://", "https://user:pw@a.example/", "https://a.example/#x", "https://a.example:0/",
     "https://a.example:99999/", "https://a.exa mple/", "https://a.example/\n", "https://a.example\\@b.example/",
     "https://é.example/", "//a.example/", "https://[::1", "https://a.example/" + "x" * 2_000],
)  # fmt: skip
def test_an_address_that_two_readers_could_read_differently_is_refused(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_address(url, "url")
    assert "pw" not in str(caught.value)


def test_an_ipv6_address_is_shown_as_one() -> None:
    assert str(parse_address("https://[fd12::1]:8443/x", "url")) == "https://[fd12::1]:8443"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("node-a", "Node A", "name of endpoint 1"),
        ("pager", "node-a", "names that differ"),
        ("model.rolled_back", "model.deleted", "events of endpoint 1"),
        (PREVIOUS, "whsec_short", "secrets of endpoint 1"),
        ("name = ", "nmae = ", "may hold only"),
        ("[[endpoint]]", "[[end]]", r"\[\[endpoint\]\] tables only"),
        ("[[endpoint]]", "[[endpoint", "not TOML"),
        ("events = [", "events = [1, ", "events of endpoint 1"),
        ('url = "https', 'url = "gopher', "url of endpoint 1"),
    ],
)
def test_a_file_with_an_error_says_where_and_shows_no_secret(tmp_path: Path, old, new, said) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        parse_endpoints(write(tmp_path, GOOD.replace(old, new)), ())
    assert SECRET not in str(caught.value) and caught.value.__cause__ is None


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        parse_endpoints(str(tmp_path / "none.toml"), ())
