"""Who may review: those who know one password or sign in under a listed name, and a lockout for guessers."""

import hashlib
import hmac
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fraud.errors import AccessDenied, RateLimited
from fraud.feedback.limiter import network_of

FREE_TRIES = 5
_FIRST_WAIT, _LONGEST_WAIT = 30.0, 3600.0
_FORGIVEN_AFTER = 24 * 3600.0
_BUCKETS = 16_384
_MAX_LOGINS = 1_000
_LOGIN_SECONDS = 8 * 3600.0


@dataclass
class Login:
    """One maintainer at work; `left` are the flags that they could not decide and do not want again now.

    `account`: their name on the Hub, None for those who came with the password.
    """

    reviewer: str
    until: float
    left: set[str] = field(default_factory=set)
    account: str | None = None


class ReviewAccess:
    """Logs maintainers in and says who is.

    Wrong tries count for the session and, because anybody can open another session, for the address; from
    the fifth on each costs a wait that doubles. Senders share a fixed number of keyed buckets, as those of
    `FlagLimiter` do, so no crowd of them fills memory.

    Parameters
    ----------
    password : what maintainers type; None or "" and nobody gets in by one
    clock : seconds that never go back
    reviewers : users and organisations on the Hub who may review once they have signed in there
    """

    def __init__(
        self,
        password: str | None,
        clock: Callable[[], float] = time.monotonic,
        reviewers: Iterable[str] = (),
    ) -> None:
        self._password = (password or "").encode()
        self._reviewers = frozenset(reviewers)
        self._signed_in: OrderedDict[str, Login] = OrderedDict()
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._wrong: dict[int, tuple[int, float]] = {}  # bucket -> (wrong tries, when the last one was)
        self._logins: OrderedDict[str, Login] = OrderedDict()

    @property
    def possible(self) -> bool:
        """Whether there is a password at all."""
        return bool(self._password)

    @property
    def by_account(self) -> bool:
        """Whether maintainers can sign in with their account on the Hub."""
        return bool(self._reviewers)

    def log_in(self, password: str, reviewer: str, session: str, address: str) -> str:
        """Return a token that `login_of` knows for eight hours.

        Raises
        ------
        AccessDenied
            The password is wrong, or none is set.
        RateLimited
            Too many wrong tries; this one was not looked at.
        """
        buckets = {self._bucket("session", session), self._bucket("address", network_of(address))}
        with self._lock:
            self._refuse_while_locked(buckets)
            if not (self.possible and hmac.compare_digest(password.encode(errors="replace"), self._password)):
                for bucket in buckets:
                    self._wrong[bucket] = (self._tries(bucket) + 1, self._clock())
                self._refuse_while_locked(buckets)
                raise AccessDenied("This is not the password; check it and try again.", code="wrong_password")
            for bucket in buckets:
                self._wrong.pop(bucket, None)
            token = secrets.token_urlsafe(32)
            self._logins[token] = Login(reviewer.strip()[:200], self._clock() + _LOGIN_SECONDS)
            while len(self._logins) > _MAX_LOGINS:
                self._logins.popitem(last=False)
            return token

    def login_of(self, token: object, account: Mapping[str, Any] | None = None) -> Login:
        """Return who is asking.

        Parameters
        ----------
        token : what `log_in` gave
        account : the OpenID claims of the signed session cookie that came with this very request

        Raises
        ------
        AccessDenied
            The token was not given here or has expired, and nobody is signed in who is listed.
        """
        with self._lock:
            login = self._logins.get(token) if isinstance(token, str) else None
            if login is not None and self._clock() < login.until:
                return login
            if account is not None and self.by_account:
                return self._login_of_account(account)
        raise AccessDenied("Log in first; decisions are only taken from maintainers.", code="not_logged_in")

    def _login_of_account(self, claims: Mapping[str, Any]) -> Login:
        name = str(claims.get("preferred_username") or "")
        if not name or self._reviewers.isdisjoint({name, *_organisations(claims)}):
            raise AccessDenied(
                f"You are signed in as @{name}, who is not among the reviewers of this demo; ask its "
                "maintainers to add you.",
                code="not_a_reviewer",
                params={"name": f"@{name}"},
            )
        login = self._signed_in.pop(name, None)
        if login is None or self._clock() >= login.until:
            login = Login(f"huggingface:{name}", self._clock() + _LOGIN_SECONDS, account=name)
        self._signed_in[name] = login
        while len(self._signed_in) > _MAX_LOGINS:
            self._signed_in.popitem(last=False)
        return login

    def log_out(self, token: object) -> None:
        """Forget a token, if it was one."""
        with self._lock:
            self._logins.pop(str(token), None)

    def _refuse_while_locked(self, buckets: set[int]) -> None:
        wait = max(self._wait(bucket) for bucket in buckets)
        if wait > 0:
            seconds = math.ceil(wait)
            raise RateLimited(
                f"Too many wrong passwords came from here; wait {seconds} seconds and try again.",
                code="locked_out",
                params={"seconds": seconds},
            )

    def _wait(self, bucket: int) -> float:
        tries = self._tries(bucket)
        if tries < FREE_TRIES:
            return 0.0
        pause = min(_FIRST_WAIT * 2.0 ** min(tries - FREE_TRIES, 16), _LONGEST_WAIT)
        return self._wrong[bucket][1] + pause - self._clock()

    def _tries(self, bucket: int) -> int:
        tries, last = self._wrong.get(bucket, (0, 0.0))
        return tries if self._clock() - last < _FORGIVEN_AFTER else 0

    def _bucket(self, kind: str, sender: str) -> int:
        digest = hmac.new(self._key, f"{kind}:{sender}".encode(errors="replace"), hashlib.sha256).digest()
        return int.from_bytes(digest[:8], "big") % _BUCKETS


def _organisations(claims: Mapping[str, Any]) -> set[str]:
    """Return the organisations that the account acts for, but those whose own rules it has yet to meet."""
    orgs = claims.get("orgs")
    return {
        str(org["preferred_username"])
        for org in (orgs if isinstance(orgs, list) else [])
        if isinstance(org, Mapping) and org.get("preferred_username") and not org.get("securityRestrictions")
    }
