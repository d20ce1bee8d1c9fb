"""Chooses the adapters from the settings, and gives the service its heartbeat."""

import logging
import os
import secrets
import threading
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud import scratch
from fraud.durable import sync_directory
from fraud.errors import FraudError
from fraud.feedback.audit import AuditPolicy, AuditSampler
from fraud.feedback.limiter import FlagLimiter, LookupLimiter
from fraud.feedback.store import FeedbackStore
from fraud.models.policy import read_policy
from fraud.models.signing import read_signing_key, read_trusted_keys
from fraud.registry import ModelRegistry
from fraud.release_history import latest_refusal
from fraud.releasing import ReleaseDesk
from fraud.repositories.hub import HubRepository
from fraud.repositories.local import LocalRepository
from fraud.repositories.port import VersionedRepository
from fraud.repositories.retries import Retries, RetryPolicy
from fraud.service import FraudService
from fraud.serving.champion import Champion
from fraud.serving.shadow import Shadow
from fraud.settings import FeedbackSettings, ServerSettings, Settings
from fraud.telemetry import UNOBSERVED, Observer
from fraud.webhooks.addresses import parse_policy
from fraud.webhooks.board import AcknowledgementBoard
from fraud.webhooks.client import WebhookClient
from fraud.webhooks.deliveries import WebhookOutbox
from fraud.webhooks.endpoints import parse_endpoints
from fraud.webhooks.received import ReceivedStore
from fraud.webhooks.sender import WebhookSender

if TYPE_CHECKING:
    from fraud.serving.nodes_client import NodePool, ThroughNodes

_log = logging.getLogger(__name__)
NODE_CHECK_S = 2.0
"""How often the prediction nodes are asked whether they are ready."""


def dataset_repository(settings: Settings) -> VersionedRepository:
    """Return the feedback dataset's repository: on the Hub if one is named there, else on this disk."""
    hub, directory = settings.hub, settings.feedback.directory
    if hub.dataset is None:
        return LocalRepository(directory / "dataset.git")
    return HubRepository(
        hub.dataset, "dataset", token=hub.token, endpoint=hub.endpoint, cache=directory / "hub"
    )


def model_registry(settings: Settings) -> ModelRegistry:
    """Return the registry of released models: on the Hub if one is named there, else on this disk."""
    hub, directory = settings.hub, settings.models.registry
    keys: dict[str, Any] = {
        "trusted": read_trusted_keys(settings.releases.trusted_keys),
        "key": read_signing_key(settings.releases.signing_key),
    }
    if hub.models is None:
        return ModelRegistry(LocalRepository(directory), **keys)
    # Less patient than a commit of feedback: a start waits for this, and the timer asks again anyway.
    retries = Retries(RetryPolicy(attempts=4), f"The Hub repository {hub.models}")
    return ModelRegistry(
        HubRepository(
            hub.models,
            "model",
            token=hub.token,
            endpoint=hub.endpoint,
            cache=directory / "hub",
            retries=retries,
        ),
        **keys,
    )


def release_desk(settings: Settings, *, wait: bool = True) -> ReleaseDesk:
    """Return what promotes and rolls back; with `wait` it returns once the nodes were asked, else before."""
    outbox = webhook_outbox(settings)
    send = webhook_sender(settings, outbox).drain

    def send_behind() -> None:
        threading.Thread(target=send, name="tell-nodes", daemon=True).start()

    return ReleaseDesk(
        model_registry(settings),
        settings.models.artifacts,
        outbox,
        send=send if wait else send_behind,
        automatic=settings.releases.automatic is True,
        journal=settings.webhooks.directory / "rollback.json",
    )


def server_options(server: ServerSettings) -> dict[str, Any]:
    """Return where uvicorn listens and whom it believes about addresses: by its own default, this machine."""
    return {"host": server.host, "port": server.port, "forwarded_allow_ips": list(server.trusted_proxies)}


def build_service(settings: Settings, observer: Observer = UNOBSERVED) -> FraudService:
    """Return the service over the configured adapters. No I/O but reading keys, making the pseudonym key."""
    from fraud.monitoring.history import MonitoringHistory  # not at the top: a node does not monitor

    feedback = settings.feedback
    store = FeedbackStore(
        feedback.directory / "outbox",
        dataset_repository(settings),
        feedback.node,
        feedback.max_backlog,
        observer=observer,
    )
    policy = read_policy(settings.models.policy)
    champion = Champion(model_registry(settings), settings.models.artifacts, policy=policy)
    key = _pseudonym_key(feedback)
    return FraudService(
        champion,
        store,
        node=feedback.node,
        pseudonym_key=key,
        limiter=FlagLimiter(feedback.reporter_limit, feedback.address_limit, key),
        trace_seconds=settings.models.refresh_seconds,
        lookups=LookupLimiter(feedback.lookup_limit, key),
        predictor=_predictor(settings, champion),
        observer=observer,
        audit=AuditSampler(AuditPolicy(share=feedback.audit_share), key),
        monitoring=MonitoringHistory(settings.monitoring.directory, settings.models.artifacts / "monitoring"),
        releases=release_desk(settings, wait=False),
        shadow=_shadow(settings),
        board=acknowledgement_board(settings).board,
        refusal=partial(latest_refusal, feedback.directory / "retraining"),
    )


@cache
def node_pool(settings: Settings) -> "NodePool | None":
    """Return the prediction nodes that score for this process; None if it scores by itself."""
    from fraud.serving.nodes_client import NodePool  # not at the top: a node has no use for an HTTP client

    return NodePool(settings.nodes.urls, key=settings.api.node_key) if settings.nodes.urls else None


def _predictor(settings: Settings, champion: Champion) -> "ThroughNodes | None":
    from fraud.serving.nodes_client import ThroughNodes

    pool = node_pool(settings)
    return None if pool is None else ThroughNodes(champion, pool)


def _shadow(settings: Settings) -> Shadow | None:
    if not settings.releases.shadow:
        return None
    feedback = settings.feedback
    return Shadow(model_registry(settings), node=feedback.node, directory=feedback.directory)


def webhook_outbox(settings: Settings) -> WebhookOutbox:
    """Return the outbox of messages to the configured endpoints."""
    webhooks = settings.webhooks
    endpoints = parse_endpoints(webhooks.endpoints, webhooks.secrets)
    return WebhookOutbox(webhooks.directory / "outbox.sqlite3", endpoints)


def webhook_sender(settings: Settings, outbox: WebhookOutbox) -> WebhookSender:
    """Return what sends the messages of an outbox."""
    return WebhookSender(outbox, WebhookClient(parse_policy(settings.webhooks.allow_private)))


def check_webhooks(settings: Settings) -> None:
    """Raise SettingsError where the settings of webhooks cannot be used: better at the start than later."""
    webhook_sender(settings, webhook_outbox(settings))


def acknowledgement_board(settings: Settings) -> AcknowledgementBoard:
    """Return the board of which node serves which version."""
    return AcknowledgementBoard(settings.webhooks.directory / "board.sqlite3")


def received_webhooks(settings: Settings) -> ReceivedStore:
    """Return the memory of webhooks that this node received."""
    return ReceivedStore(settings.webhooks.directory / "received.sqlite3")


def _pseudonym_key(settings: FeedbackSettings) -> bytes:
    """Return the configured key, or one made at the first start and kept beside the outbox."""
    if settings.pseudonym_key is not None:
        return settings.pseudonym_key.encode()
    path = settings.directory / "pseudonym.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".pseudonym-{os.getpid()}-{secrets.token_hex(4)}")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_hex(32))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(partial, path)  # the first of several processes wins, whole
        except FileExistsError:
            _log.debug("another process made the pseudonym key first")
        finally:
            partial.unlink()
        sync_directory(path.parent)
    return Path(path).read_text(encoding="ascii").strip().encode()


class Heartbeat:
    """Calls what must happen now and then, each on its own thread, until stopped."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def every(self, seconds: float, name: str, action: Callable[[], object]) -> None:
        """Start calling `action`; what it raises is logged once per message, and the beat goes on."""
        thread = threading.Thread(target=self._run, args=(seconds, name, action), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, seconds: float, name: str, action: Callable[[], object]) -> None:
        last_problem = ""
        while not self._stopping.wait(seconds):
            try:
                action()
            except FraudError as error:
                if error.message != last_problem:
                    _log.warning("%s: %s", name, error)
                last_problem = error.message
            except Exception as error:
                # The one place where a defect must not end the work: flags would wait for ever, unseen.
                if repr(error) != last_problem:
                    _log.exception("%s failed unexpectedly and will be tried again", name)
                last_problem = repr(error)
            else:
                last_problem = ""

    @property
    def alive(self) -> bool:
        """Whether every beat is still going."""
        return all(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Let running actions finish and return."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=30)


def start_heartbeat(service: FraudService, settings: Settings) -> Heartbeat:
    """Commit flags, look for promotions, send webhooks and sweep temporary files, each at its interval."""
    outbox = webhook_outbox(settings)
    sender = webhook_sender(settings, outbox)
    scratch.sweep()
    heartbeat = Heartbeat()
    heartbeat.every(scratch.SWEEP_S, "sweep-files", scratch.sweep)
    heartbeat.every(settings.feedback.commit_seconds, "commit-feedback", service.drain)
    heartbeat.every(settings.models.refresh_seconds, "refresh-model", service.refresh)
    if (pool := node_pool(settings)) is not None:
        heartbeat.every(NODE_CHECK_S, "check-nodes", pool.check)
    for endpoint in outbox.endpoints:
        # Each on its own beat: one that is dead keeps none of the others waiting.
        beat = partial(sender.drain, endpoints=(endpoint.name,))
        heartbeat.every(settings.webhooks.send_seconds, f"webhooks-{endpoint.name}", beat)
    return heartbeat
