"""What a token may do is read from what the Hub says of it, and anything unclear is no right."""

from typing import Any

import pytest

from fraud.deployment.rights import READ, WEBHOOKS, WRITE, Need, lacking

NEEDS = [Need(WRITE, "space", "org/demo", exists=False), Need(READ, "model", "org/models")]


def token(role: str, *scoped: tuple[str, str, list[str]], **more: Any) -> dict[str, Any]:
    entries = [{"entity": {"type": k, "name": n, "_id": "1"}, "permissions": p} for k, n, p in scoped]
    said: dict[str, Any] = {"role": role}
    if role == "fineGrained":
        said["fineGrained"] = {"global": [], "scoped": entries}
    orgs = [{"name": "org", "roleInOrg": "write"}]
    return {"name": "ann", "orgs": orgs, "auth": {"accessToken": said}} | more


def test_a_write_token_of_a_member_may_do_all_of_it() -> None:
    assert lacking(token("write"), [*NEEDS, Need(WEBHOOKS, "user")]) == []


@pytest.mark.parametrize("orgs", [[], [{"name": "org", "roleInOrg": "read"}], [{"name": "other"}], None])
def test_a_write_token_of_somebody_else_may_not_write(orgs: Any) -> None:
    assert lacking(token("write", orgs=orgs), NEEDS) == ["repo.write on space org/demo"]


def test_a_read_token_may_read() -> None:
    assert lacking(token("read"), NEEDS) == ["repo.write on space org/demo"]


def test_a_right_on_the_organisation_holds_for_what_is_yet_to_be_made() -> None:
    assert lacking(token("fineGrained", ("org", "org", ["repo.write"])), NEEDS) == []


def test_a_right_on_one_repository_holds_for_that_one_once_it_exists() -> None:
    one = ("space", "org/demo", ["repo.write"])
    assert lacking(token("fineGrained", one), NEEDS[:1]) == ["repo.write on space org/demo"]
    there = Need(WRITE, "space", "org/demo")
    assert lacking(token("fineGrained", one), [there]) == []
    assert lacking(token("fineGrained", ("model", "org/demo", ["repo.write"])), [there]) != []
    assert lacking(token("fineGrained", ("space", "org/demo", ["repo.content.read"])), [there]) != []


def test_webhooks_take_a_right_of_the_account_itself() -> None:
    need = Need(WEBHOOKS, "user")
    assert lacking(token("fineGrained", ("user", "ann", ["user.webhooks.write"])), [need]) == []
    for other in (("org", "org", ["user.webhooks.write"]), ("user", "ann", ["repo.write"])):
        assert lacking(token("fineGrained", other), [need]) == ["user.webhooks.write on the account"]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"auth": None},
        {"auth": {"accessToken": "x"}},
        token("god"),
        {"auth": {"accessToken": {"role": "fineGrained", "fineGrained": None}}},
        {"auth": {"accessToken": {"role": "fineGrained", "fineGrained": {"scoped": [1, {"entity": 2}]}}}},
    ],
)
def test_what_cannot_be_read_is_no_right(document: dict[str, Any]) -> None:
    assert lacking(document, NEEDS)
