import pytest

from fraud.errors import AccessDenied, RateLimited, SettingsError
from fraud.settings import read_settings
from fraud.ui import access as module
from fraud.ui.access import FREE_TRIES, ReviewAccess

PASSWORD = "correct horse battery"  # noqa: S105 (nobody else's)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(clock: Clock) -> ReviewAccess:
    return ReviewAccess(PASSWORD, clock)


def guess(access: ReviewAccess, session: str = "s", address: str = "192.0.2.1", n: int = 1) -> None:
    for _ in range(n):
        with pytest.raises((AccessDenied, RateLimited)):
            access.log_in("wrong", "", session, address)


def lock(access: ReviewAccess, **sender: str) -> int:
    with pytest.raises(RateLimited) as caught:
        access.log_in(PASSWORD, "", sender.get("session", "s"), sender.get("address", "192.0.2.1"))
    return caught.value.seconds


def test_the_password_opens_and_the_token_names_who_it_is(access: ReviewAccess) -> None:
    token = access.log_in(PASSWORD, " ana ", "s", "192.0.2.1")
    assert access.login_of(token).reviewer == "ana"
    access.log_out(token)
    with pytest.raises(AccessDenied):
        access.login_of(token)


@pytest.mark.parametrize("token", ["", "x" * 43, None, True, ["a"], {"a": 1}])
def test_a_forged_token_is_nobodys(access: ReviewAccess, token: object) -> None:
    access.log_in(PASSWORD, "", "s", "")
    with pytest.raises(AccessDenied):
        access.login_of(token)


@pytest.mark.parametrize("password", [None, ""])
def test_without_a_password_nothing_opens(password: str | None) -> None:
    access = ReviewAccess(password)
    assert not access.possible
    with pytest.raises(AccessDenied):
        access.log_in("", "", "s", "")


@pytest.mark.parametrize("typed", ["", "wrong", PASSWORD + " ", "sénha", "\ud800"])
def test_anything_else_is_refused(access: ReviewAccess, typed: str) -> None:
    with pytest.raises(AccessDenied):
        access.log_in(typed, "", "s", "")


def test_the_fifth_wrong_try_locks_even_the_right_password_out(access: ReviewAccess, clock: Clock) -> None:
    guess(access, n=FREE_TRIES)
    assert lock(access) == 30
    clock.now += 31
    access.login_of(access.log_in(PASSWORD, "", "s", "192.0.2.1"))


def test_the_waits_grow_to_an_hour_and_tries_while_locked_add_nothing(
    access: ReviewAccess, clock: Clock
) -> None:
    guess(access, n=FREE_TRIES)
    waits = [lock(access)]
    for _ in range(9):
        guess(access, n=3)  # not looked at, so not counted
        clock.now += waits[-1]
        guess(access)
        waits.append(lock(access))
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


@pytest.mark.parametrize(
    ("address", "other"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::2"), ("::ffff:192.0.2.1", "192.0.2.1")],
)
def test_a_new_session_of_the_same_network_is_locked_too(
    access: ReviewAccess, address: str, other: str
) -> None:
    for n in range(FREE_TRIES):
        guess(access, session=str(n), address=address)
    assert lock(access, session="fresh", address=other) > 0
    access.log_in(PASSWORD, "", "elsewhere", "198.51.100.7")


def test_a_session_that_changes_its_address_is_locked_too(access: ReviewAccess) -> None:
    for n in range(FREE_TRIES):
        guess(access, address=f"192.0.2.{n}")
    assert lock(access, address="198.51.100.7") > 0


def test_a_day_later_all_is_forgiven(access: ReviewAccess, clock: Clock) -> None:
    guess(access, n=FREE_TRIES)
    clock.now += 24 * 3600
    guess(access, n=FREE_TRIES - 1)
    access.log_in(PASSWORD, "", "s", "192.0.2.1")


def test_a_login_ends_after_eight_hours(access: ReviewAccess, clock: Clock) -> None:
    token = access.log_in(PASSWORD, "", "s", "")
    clock.now += 8 * 3600
    with pytest.raises(AccessDenied):
        access.login_of(token)


def test_memory_is_bounded(access: ReviewAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BUCKETS", 8)
    monkeypatch.setattr(module, "_MAX_LOGINS", 3)
    tokens = [access.log_in(PASSWORD, "", "s", "") for _ in range(5)]
    assert len(access._logins) == 3 and access.login_of(tokens[-1])
    for n in range(200):
        guess(access, session=str(n), address=f"10.0.0.{n}")
    assert len(access._wrong) <= 8


SPACE = {
    "SYSTEM": "spaces",
    "SPACE_ID": "org/demo",
    "OAUTH_CLIENT_ID": "id",
    "OAUTH_CLIENT_SECRET": "secret",
    "OAUTH_SCOPES": "openid profile",
    "OPENID_PROVIDER_URL": "https://provider.example",
    "FRAUD_REVIEWERS": " ana, the-team,, ",
}


def test_on_a_space_the_listed_may_sign_in(caplog: pytest.LogCaptureFixture) -> None:
    assert read_settings(SPACE).review.reviewers == ("ana", "the-team") and not caplog.messages
    assert read_settings(SPACE | {"FRAUD_REVIEWERS": ""}).review.reviewers == ()
    with pytest.raises(SettingsError, match="FRAUD_REVIEWERS must be names"):
        read_settings(SPACE | {"FRAUD_REVIEWERS": "ana; bo"})


@pytest.mark.parametrize("name", sorted(set(SPACE) - {"FRAUD_REVIEWERS"}))
@pytest.mark.parametrize("value", [None, ""])
def test_where_a_session_could_be_forged_nobody_signs_in(
    name: str, value: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {key: given for key, given in SPACE.items() if key != name}
    settings = read_settings(environment if value is None else environment | {name: value})
    assert settings.review.reviewers == ()
    (said,) = caplog.messages
    assert (
        name in said
        and "nobody can sign in to review" in said
        and "secret" not in said.lower().replace("oauth_client_secret", "")
    )


@pytest.mark.parametrize(
    ("claims", "welcome"),
    [
        ({"preferred_username": "ana"}, True),
        ({"preferred_username": "bo", "orgs": [{"preferred_username": "the-team"}]}, True),
        ({"preferred_username": "Ana"}, False),
        ({"preferred_username": "", "orgs": [{"preferred_username": "the-team"}]}, False),
        ({"name": "ana"}, False),
        ({}, False),
        ({"preferred_username": "bo", "orgs": "the-team"}, False),
        ({"preferred_username": "bo", "orgs": ["the-team", None, {"name": "the-team"}]}, False),
        (
            {
                "preferred_username": "bo",
                "orgs": [{"preferred_username": "the-team", "securityRestrictions": ["sso"]}],
            },
            False,
        ),
    ],
)
def test_only_listed_names_review(claims: dict, welcome: bool) -> None:
    access = ReviewAccess(None, reviewers=["ana", "the-team"])
    if welcome:
        login = access.login_of("", claims)
        assert login.reviewer == f"huggingface:{claims['preferred_username']}"
        assert access.login_of("forged", claims) is login, "what one was unsure about is remembered"
        return
    with pytest.raises(AccessDenied, match="not among the reviewers"):
        access.login_of("", claims)


def test_without_a_list_no_account_opens_anything() -> None:
    with pytest.raises(AccessDenied, match="Log in first"):
        ReviewAccess(PASSWORD).login_of("", {"preferred_username": "ana"})


def test_an_unlisted_account_may_still_know_the_password() -> None:
    access = ReviewAccess(PASSWORD, reviewers=["ana"])
    token = access.log_in(PASSWORD, "bo", "s", "192.0.2.1")
    assert access.login_of(token, {"preferred_username": "mallory"}).reviewer == "bo"
