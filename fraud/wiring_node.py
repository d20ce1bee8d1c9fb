"""Builds a prediction node from the settings. No I/O but what the parts do at first use."""

from time import monotonic

from fraud.models.policy import read_policy
from fraud.serving.acknowledging import Acknowledger
from fraud.serving.champion import Champion
from fraud.serving.node import PredictionNode, Senders
from fraud.serving.standing import StandingFile
from fraud.serving.updating import Updates
from fraud.serving.watch import TrafficWatch, WatchPolicy
from fraud.settings import Settings
from fraud.telemetry import UNOBSERVED, Observer
from fraud.webhooks.addresses import parse_policy
from fraud.webhooks.client import WebhookClient
from fraud.webhooks.endpoints import parse_address
from fraud.webhooks.received import ReceivedStore
from fraud.webhooks.signing import check_secrets
from fraud.wiring import model_registry


def build_node(settings: Settings, name: str, observer: Observer = UNOBSERVED) -> PredictionNode:
    """Return the node of that name.

    Raises
    ------
    SettingsError
        A secret or an address that cannot be one.
    """
    nodes = settings.nodes
    own = nodes.directory / name
    champion = Champion(
        model_registry(settings),
        settings.models.artifacts,
        memory=StandingFile(own / "standing.json"),
        policy=read_policy(settings.models.policy),
    )
    watch = TrafficWatch(WatchPolicy(), monotonic)
    updates = Updates(
        champion,
        watch,
        node=name,
        acknowledge=_acknowledger(settings),
        poll_s=settings.models.refresh_seconds,
    )
    senders = Senders(
        secrets=check_secrets(nodes.secrets, "FRAUD_NODE_SECRETS") if nodes.secrets else (),
        hub_secrets=nodes.hub_secrets,
        hub_repository=settings.hub.models,
    )
    received = ReceivedStore(own / "received.sqlite3")
    return PredictionNode(champion, updates, watch, received, senders, observer=observer)


def _acknowledger(settings: Settings) -> Acknowledger | None:
    nodes = settings.nodes
    if not nodes.acknowledge_url:
        return None
    address = parse_address(nodes.acknowledge_url, "FRAUD_ACKNOWLEDGE_URL")
    secrets = check_secrets(nodes.acknowledge_secrets, "FRAUD_ACKNOWLEDGE_SECRETS")
    return Acknowledger(WebhookClient(parse_policy(settings.webhooks.allow_private)), address, secrets)
