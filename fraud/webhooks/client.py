"""One POST to one endpoint: to an address that was checked, within a time and a size, and no further.

On `httpcore2`, the transport below httpx2: it follows no redirect, knows no proxy, and lets us say
which address a name is connected to (docs/decisions/0019-webhooks.md). A request has its own connection.
"""

import contextlib
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import httpcore2

from fraud.webhooks.addresses import AddressPolicy, Refused, Resolver, choose_addresses, system_resolver
from fraud.webhooks.endpoints import Address
from fraud.webhooks.schedule import Answer

_EXCERPT_BYTES = 1_024
_EXCERPT_LENGTH = 160
_MOST_ADDRESSES = 4


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to connect, between two reads or writes, and for everything together."""

    connect_s: float = 5.0
    silence_s: float = 10.0
    total_s: float = 20.0


class WebhookClient:
    """Sends signed bodies; every way in which that fails is an Answer, never an exception.

    Parameters
    ----------
    resolve, monotonic, tls
        Replaced in tests: name resolution, the clock of the time limit in seconds, and who is trusted.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        timeouts: Timeouts = Timeouts(),
        *,
        resolve: Resolver = system_resolver,
        monotonic: Callable[[], float] = time.monotonic,
        tls: Callable[[], ssl.SSLContext] = httpcore2.default_ssl_context,
    ) -> None:
        self._policy = policy
        self._timeouts = timeouts
        self._resolve = resolve
        self._monotonic = monotonic
        self._make_tls = tls

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._make_tls()

    def post(self, address: Address, headers: Mapping[str, str], body: str) -> Answer:
        """Send one request; return what came back, or why nothing did."""
        deadline = _Deadline(self._monotonic, self._timeouts.total_s)
        try:
            addresses = choose_addresses(
                address.host, address.port, address.scheme, self._policy, self._resolve
            )
            return self._exchange(address, addresses[:_MOST_ADDRESSES], headers, body.encode(), deadline)
        except Refused as refused:
            return Answer(None, f"refused: {refused}")
        except httpcore2.TimeoutException:
            return Answer(None, f"no answer within {self._timeouts.total_s:g} seconds")
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            return Answer(None, _clean(f"no answer: {error or type(error).__name__}"))
        except (OSError, UnicodeError) as error:
            return Answer(None, _clean(f"the name {address.host} was not found ({error})"))

    def _exchange(
        self,
        address: Address,
        addresses: tuple[str, ...],
        headers: Mapping[str, str],
        body: bytes,
        deadline: "_Deadline",
    ) -> Answer:
        limits = self._timeouts
        backend = _CheckedBackend(addresses, deadline)
        url = httpcore2.URL(
            scheme=address.scheme.encode(),
            host=address.host.encode(),
            port=address.port,
            target=address.target.encode(),
        )
        sent = [
            ("host", _host_header(address)),
            ("user-agent", "fraud-webhooks/1"),
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("connection", "close"),
            *headers.items(),
        ]
        waits = {
            "connect": limits.connect_s,
            "read": limits.silence_s,
            "write": limits.silence_s,
            "pool": limits.total_s,
        }
        tls = self._tls if address.scheme == "https" else None
        with (
            httpcore2.ConnectionPool(ssl_context=tls, network_backend=backend) as pool,
            pool.stream("POST", url, headers=sent, content=body, extensions={"timeout": waits}) as response,
        ):
            if 200 <= response.status < 300:
                return Answer(response.status)  # its body says nothing that we need
            return Answer(
                response.status,
                _clean(_excerpt(response).decode("utf-8", "replace")),
                _header(response, b"retry-after"),
            )


class _Deadline:
    """What is left of the time for everything: a server that sends a byte now and then outlives any other."""

    def __init__(self, monotonic: Callable[[], float], total_s: float) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + total_s

    def within(self, timeout: float | None, expired: type[Exception]) -> float:
        left = self._end - self._monotonic()
        if left <= 0:
            raise expired("the time for the whole request is over")
        return left if timeout is None else min(left, timeout)


class _CheckedBackend(httpcore2.NetworkBackend):
    """Connects to addresses that were checked, whatever the name would be resolved to by now."""

    def __init__(self, addresses: tuple[str, ...], deadline: _Deadline) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._system = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        problem: Exception = httpcore2.ConnectError("no address")
        for address in self._addresses:
            wait = self._deadline.within(timeout, httpcore2.ConnectTimeout)
            try:
                stream = self._system.connect_tcp(address, port, wait, local_address, socket_options)
                return _TimedStream(stream, self._deadline)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                problem = error
        raise problem


class _TimedStream(httpcore2.NetworkStream):
    """A stream whose every wait ends with the deadline."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.within(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.within(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        wait = self._deadline.within(timeout, httpcore2.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, wait), self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _excerpt(response: httpcore2.Response) -> bytes:
    found = b""
    # The status is known already: what breaks now is not worth another word.
    with contextlib.suppress(httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        for chunk in response.iter_stream():
            found += chunk[:_EXCERPT_BYTES]
            if len(found) >= _EXCERPT_BYTES:
                break
    return found[:_EXCERPT_BYTES]


def _header(response: httpcore2.Response, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), None)


def _host_header(address: Address) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    usual = 443 if address.scheme == "https" else 80
    return host if address.port == usual else f"{host}:{address.port}"


def _clean(text: str) -> str:
    """Return a line that cannot steer a terminal, cut short."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _EXCERPT_LENGTH else line[: _EXCERPT_LENGTH - 1] + "…"
