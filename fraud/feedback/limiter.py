"""How many answers one pseudonym and one address may give: the second defence, after consent."""

import hashlib
import hmac
import ipaddress
import math
import threading
import time

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from fraud.errors import RateLimited, SettingsError

_BUCKETS = 16_384


class FlagLimiter:
    """Refuses the answer that is one too many, and says how long to wait.

    Senders are hashed into a fixed number of buckets that share a count, so no crowd of senders can fill
    memory, and nobody without the key can choose whose bucket to fill. An IPv6 sender counts as its /64
    network, of which every address belongs to one customer.

    Parameters
    ----------
    reporter, address : limits such as "60/minute; 1000/day"; "" for none
    key : secret that places senders in buckets

    Raises
    ------
    SettingsError
        A limit that cannot be read.
    """

    def __init__(self, reporter: str, address: str, key: bytes) -> None:
        self._limits = {"reporter": _parsed("reporter", reporter), "address": _parsed("address", address)}
        self._key = key
        self._lock = threading.Lock()
        self._strategy: FixedWindowRateLimiter | None = None

    def take(self, reporter: str, address: str) -> None:
        """Count one answer; RateLimited, and nothing counted, if any limit is reached."""
        senders = {"reporter": reporter, "address": network_of(address)}
        counted = [
            (limit, kind, self._bucket(kind, senders[kind]))
            for kind, limits in self._limits.items()
            if senders[kind]
            for limit in limits
        ]
        if not counted:
            return
        with self._lock:
            if self._strategy is None:
                self._strategy = FixedWindowRateLimiter(MemoryStorage())  # starts a thread, so not before
            full = [item for item in counted if not self._strategy.test(*item)]
            if not full:
                for item in counted:
                    self._strategy.hit(*item)
                return
            until = max(self._strategy.get_window_stats(*item).reset_time for item in full)
        seconds = max(1, math.ceil(until - time.time()))
        raise RateLimited(
            f"Too many answers came from here in a short time, so this one was not taken; wait {seconds} "
            "seconds and send it again.",
            code="rate_limited",
            params={"seconds": seconds},
        )

    def _bucket(self, kind: str, sender: str) -> str:
        digest = hmac.new(self._key, f"limit:{kind}:{sender}".encode(errors="replace"), hashlib.sha256)
        return str(int.from_bytes(digest.digest()[:8], "big") % _BUCKETS)


class LookupLimiter:
    """Refuses look-ups that read the whole dataset once an address has asked for too many.

    Parameters
    ----------
    address : limits such as "10/minute; 200/day"; "" for none
    key : secret that places addresses in buckets
    """

    def __init__(self, address: str, key: bytes) -> None:
        self._limiter = FlagLimiter("", address, key)

    def take(self, address: str) -> None:
        """Count one look-up; RateLimited if it is one too many."""
        try:
            self._limiter.take("", address)
        except RateLimited as error:
            raise RateLimited(
                "Too many receipts that this server did not give were asked for from here; wait "
                f"{error.seconds} seconds and try again.",
                code="lookups_limited",
                params=error.params,
            ) from error


def _parsed(name: str, text: str) -> list[RateLimitItem]:
    if not text:
        return []
    try:
        return list(parse_many(text))
    except ValueError as error:
        raise SettingsError(
            f'The limit of answers per {name} must read like "60/minute; 1000/day", or "off".',
            code="settings",
            field=name,
        ) from error


def network_of(address: str) -> str:
    """Return whom an address stands for: itself, or for IPv6 its /64 network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
