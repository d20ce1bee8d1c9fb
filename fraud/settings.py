"""All configuration, typed and frozen. The only reader of the environment."""

import argparse
import ipaddress
import logging
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

from fraud.errors import SettingsError
from fraud.settings_api import ApiSettings, read_api_settings

ROOT = Path(__file__).resolve().parent.parent
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,94}[A-Za-z0-9]")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_SIGN_IN = ("SPACE_ID", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")
_SHORTEST_PASSWORD = 12
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerSettings:
    """Where the demo listens."""

    host: str = "127.0.0.1"
    port: int = 7860
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose X-Forwarded-For is believed; from anybody else it is ignored."""
    mcp: bool = False
    """Whether assistants may score transactions here, over the Model Context Protocol."""


@dataclass(frozen=True)
class FeedbackSettings:
    """Where flags go, and how often they are committed."""

    directory: Path = ROOT / "feedback_store"
    node: str = "local"
    commit_seconds: float = 2.0
    max_backlog: int = 50_000
    pseudonym_key: str | None = field(default=None, repr=False)
    reporter_limit: str = "60/minute; 1000/day"
    address_limit: str = "600/minute; 20000/day"
    lookup_limit: str = "10/minute; 200/day"
    audit_share: float = 0.05
    quarantine_days: float | None = 0.0
    """Age from which a flag is used without a review; None for the profile's label delay."""


@dataclass(frozen=True)
class ModelSettings:
    """Where models come from, and how often a node looks for a promotion."""

    artifacts: Path = ROOT / "artifacts"
    registry: Path = ROOT / "artifacts" / "registry"
    refresh_seconds: float = 2.0
    forest_engine: Literal["auto", "scikit-learn", "scikit-learn-intelex"] = "auto"
    policy: Path | None = None
    """A file of cut-offs, exported from the Compare tab, for the release that serves."""


@dataclass(frozen=True)
class HubSettings:
    """The repositories that live on a Hub; one that is not named lives on this machine's disk."""

    dataset: str | None = None
    models: str | None = None
    endpoint: str | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ReviewSettings:
    """Who may decide about flags on the page: whoever knows the password, and the reviewers; or nobody.

    `reviewers` are names of users and organisations on the Hub, who sign in there; empty wherever they
    cannot.
    """

    password: str | None = field(default=None, repr=False)
    reviewers: tuple[str, ...] = ()


@dataclass(frozen=True)
class WebhookSettings:
    """Who is told of promotions and alerts, as written; fraud/webhooks reads it. Addresses may hold keys."""

    directory: Path = ROOT / "feedback_store" / "webhooks"
    endpoints: str = field(default="", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    allow_private: str = ""
    send_seconds: float = 5.0


@dataclass(frozen=True)
class MonitoringSettings:
    """Where monitoring keeps its ledger and report, and how patient its alerts are, in days.

    `answer_error` is the share of people's answers that may be wrong without an alarm of it.
    """

    directory: Path = ROOT / "feedback_store" / "monitoring"
    alert_for_days: float = 1.0
    alert_keep_days: float = 2.0
    answer_error: float = 0.02


@dataclass(frozen=True)
class NotebookSettings:
    """How much work a notebook does: simulated transactions for its folds, and trials of its search."""

    n_transactions: int = 120_000
    n_trials: int = 5


@dataclass(frozen=True)
class NodeSettings:
    """Prediction nodes: what one of them needs, and what the web application needs to know of them.

    Secrets are lists, current first. docs/cluster.md says who needs which.
    """

    directory: Path = ROOT / "feedback_store" / "nodes"
    secrets: tuple[str, ...] = field(default=(), repr=False)
    hub_secrets: tuple[str, ...] = field(default=(), repr=False)
    acknowledge_url: str = field(default="", repr=False)
    acknowledge_secrets: tuple[str, ...] = field(default=(), repr=False)
    urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReleaseSettings:
    """Who signs releases, whose are loaded, and who promotes them; fraud/models/signing.py reads the keys."""

    signing_key: str | None = field(default=None, repr=False)
    trusted_keys: tuple[str, ...] = ()
    automatic: bool | None = None
    """Whether what passed the gate is promoted at once, or waits for a maintainer. None, where nobody said:
    it waits, but a trainer that runs by itself promotes."""
    shadow: bool = False
    """Whether this process scores with a waiting challenger too, unseen, and compares."""


@dataclass(frozen=True)
class RetrainingSettings:
    """When a retraining is due, how often one held-out window may judge, how many runs are kept."""

    min_labels: int = 1
    min_frauds: int = 0
    max_age_days: float | None = 30.0
    gold_budget: int = 50
    keep_runs: int = 100


@dataclass(frozen=True)
class Settings:
    """The whole configuration, by section."""

    server: ServerSettings = ServerSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    models: ModelSettings = ModelSettings()
    hub: HubSettings = HubSettings()
    review: ReviewSettings = ReviewSettings()
    webhooks: WebhookSettings = WebhookSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    nodes: NodeSettings = NodeSettings()
    releases: ReleaseSettings = ReleaseSettings()
    api: ApiSettings = field(default_factory=ApiSettings)
    retraining: RetrainingSettings = RetrainingSettings()
    notebooks: NotebookSettings = NotebookSettings()


def refuse_options(description: str | None) -> None:
    """End a program that is set by variables if it was given options; `--help` lists the variables."""
    argparse.ArgumentParser(
        description=description,
        epilog=read_settings.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of this process.

    Variables: FRAUD_HOST, FRAUD_PORT, FRAUD_FEEDBACK_DIR, FRAUD_NODE, FRAUD_COMMIT_SECONDS,
    FRAUD_MAX_BACKLOG, FRAUD_PSEUDONYM_KEY (secret), FRAUD_ARTIFACTS_DIR, FRAUD_REGISTRY_DIR,
    FRAUD_REFRESH_SECONDS, FRAUD_POLICY (a file of cut-offs for the release that serves; it is refused with
    any other), FRAUD_FOREST_ENGINE ("auto", "scikit-learn" or "scikit-learn-intelex": what grows
    a random forest in training); FRAUD_REPORTER_LIMIT and FRAUD_ADDRESS_LIMIT (of answers, "60/minute;
    1000/day" or
    "off"), FRAUD_LOOKUP_LIMIT (of receipts asked for by an address that this server did not give),
    FRAUD_TRUSTED_PROXIES (addresses and networks, by commas, whose X-Forwarded-For is believed; default
    none), FRAUD_AUDIT_SHARE (of predictions asked about by lot), FRAUD_QUARANTINE_DAYS (age from which a
    flag is used unreviewed; by default 0 on a disk and the profile's label delay where strangers flag: on a
    Space, or with a dataset on a Hub); FRAUD_DATASET_REPO and FRAUD_MODEL_REPO (ORG/NAME on a Hub),
    FRAUD_HUB_TOKEN or HF_TOKEN (secret), FRAUD_HUB_ENDPOINT; FRAUD_REVIEW_PASSWORD (secret; opens the Review
    tab to maintainers), FRAUD_REVIEWERS (names on the Hub, by comma; opens it on a Space to those who sign
    in); FRAUD_WEBHOOKS (a TOML file, or addresses with commas between), FRAUD_WEBHOOK_SECRETS (secret; for
    such addresses: the current one, then the previous), FRAUD_WEBHOOK_ALLOW_PRIVATE, FRAUD_WEBHOOK_DIR,
    FRAUD_WEBHOOK_SECONDS (docs/webhooks.md); FRAUD_MONITORING_DIR, FRAUD_ALERT_FOR_DAYS and
    FRAUD_ALERT_KEEP_DAYS (how long a warning must hold before it fires, and be gone before it ends);
    FRAUD_SIGNING_KEY (secret; base64 seed or PEM file, where models
    are trained), FRAUD_TRUSTED_KEYS (public keys in base64, by comma, wherever releases are loaded),
    FRAUD_APPROVAL (automatic or manual), FRAUD_SHADOW (0 or 1) (docs/releases.md); FRAUD_MCP (0 or 1);
    FRAUD_NODES (addresses of prediction nodes that score for this process), FRAUD_NODE_DIR,
    FRAUD_NODE_SECRETS,
    FRAUD_HUB_WEBHOOK_SECRETS, FRAUD_ACKNOWLEDGE_URL, FRAUD_ACKNOWLEDGE_SECRETS (secret, the last four;
    docs/cluster.md); FRAUD_RETRAIN_MIN_LABELS, FRAUD_RETRAIN_MIN_FRAUDS, FRAUD_RETRAIN_MAX_AGE_DAYS (or
    "off"), FRAUD_GOLD_BUDGET and FRAUD_RETRAIN_KEEP_RUNS (docs/retraining.md); FRAUD_API_KEYS, FRAUD_NODE_KEY
    (secret), FRAUD_CORS_ORIGINS and FRAUD_REQUEST_LIMIT (docs/api.md). On a Space (SPACE_ID is set) the host
    defaults to 0.0.0.0. With a repository on a Hub its interval defaults to 60 and 30 seconds: a Hub counts
    requests and commits.

    Raises
    ------
    SettingsError
        Naming the variable and what it must be.
    """
    env = os.environ if environment is None else environment
    on_space = bool(env.get("SPACE_ID"))
    artifacts = Path(env.get("FRAUD_ARTIFACTS_DIR") or ROOT / "artifacts")
    hub = _hub(env)
    return Settings(
        server=ServerSettings(
            host=env.get("FRAUD_HOST") or ("0.0.0.0" if on_space else "127.0.0.1"),  # noqa: S104 (a Space's proxy)
            port=int(_number(env, "FRAUD_PORT", 7860, 1, 65_535)),
            trusted_proxies=_networks(env, "FRAUD_TRUSTED_PROXIES"),
            mcp=_choice(env, "FRAUD_MCP", ("0", "1")) == "1",
        ),
        feedback=FeedbackSettings(
            directory=Path(env.get("FRAUD_FEEDBACK_DIR") or ROOT / "feedback_store"),
            node=_node_name(env),
            commit_seconds=_number(env, "FRAUD_COMMIT_SECONDS", 60.0 if hub.dataset else 2.0, 0.05, 86_400),
            max_backlog=int(_number(env, "FRAUD_MAX_BACKLOG", 50_000, 1, 10_000_000)),
            pseudonym_key=env.get("FRAUD_PSEUDONYM_KEY") or None,
            reporter_limit=_limit(env, "FRAUD_REPORTER_LIMIT", FeedbackSettings.reporter_limit),
            address_limit=_limit(env, "FRAUD_ADDRESS_LIMIT", FeedbackSettings.address_limit),
            lookup_limit=_limit(env, "FRAUD_LOOKUP_LIMIT", FeedbackSettings.lookup_limit),
            audit_share=_number(env, "FRAUD_AUDIT_SHARE", FeedbackSettings.audit_share, 0, 1),
            quarantine_days=_quarantine_days(env, strangers=on_space or hub.dataset is not None),
        ),
        models=ModelSettings(
            artifacts=artifacts,
            registry=Path(env.get("FRAUD_REGISTRY_DIR") or artifacts / "registry"),
            refresh_seconds=_number(env, "FRAUD_REFRESH_SECONDS", 30.0 if hub.models else 2.0, 0.05, 86_400),
            forest_engine=_forest_engine(env),
            policy=Path(env["FRAUD_POLICY"]) if env.get("FRAUD_POLICY") else None,
        ),
        hub=hub,
        review=ReviewSettings(password=_password(env), reviewers=_reviewers(env)),
        webhooks=_webhooks(env),
        monitoring=_monitoring(env),
        nodes=_nodes(env),
        api=read_api_settings(env),
        notebooks=NotebookSettings(
            n_transactions=int(_number(env, "FRAUD_NOTEBOOK_ROWS", 120_000, 10_000, 10_000_000)),
            n_trials=int(_number(env, "FRAUD_NOTEBOOK_TRIALS", 5, 1, 1_000)),
        ),
        releases=ReleaseSettings(
            signing_key=env.get("FRAUD_SIGNING_KEY") or None,
            trusted_keys=_list(env, "FRAUD_TRUSTED_KEYS"),
            automatic=_approval(env),
            shadow=_choice(env, "FRAUD_SHADOW", ("0", "1")) == "1",
        ),
        retraining=_retraining(env, strangers=on_space or hub.dataset is not None),
    )


def _retraining(env: Mapping[str, str], *, strangers: bool) -> RetrainingSettings:
    """One flag is worth a training where one person flags and watches; where strangers do, a batch is."""
    age_off = (env.get("FRAUD_RETRAIN_MAX_AGE_DAYS") or "").strip() == "off"
    return RetrainingSettings(
        min_labels=int(_number(env, "FRAUD_RETRAIN_MIN_LABELS", 50 if strangers else 1, 0, 1_000_000)),
        min_frauds=int(_number(env, "FRAUD_RETRAIN_MIN_FRAUDS", 5 if strangers else 0, 0, 1_000_000)),
        max_age_days=None if age_off else _number(env, "FRAUD_RETRAIN_MAX_AGE_DAYS", 30.0, 0, 36_500),
        gold_budget=int(_number(env, "FRAUD_GOLD_BUDGET", RetrainingSettings.gold_budget, 1, 10_000)),
        keep_runs=int(_number(env, "FRAUD_RETRAIN_KEEP_RUNS", RetrainingSettings.keep_runs, 1, 100_000)),
    )


def _approval(env: Mapping[str, str]) -> bool | None:
    said = bool(env.get("FRAUD_APPROVAL"))
    return _choice(env, "FRAUD_APPROVAL", ("manual", "automatic")) == "automatic" if said else None


def _monitoring(env: Mapping[str, str]) -> MonitoringSettings:
    feedback = Path(env.get("FRAUD_FEEDBACK_DIR") or ROOT / "feedback_store")
    default = MonitoringSettings()
    return MonitoringSettings(
        directory=Path(env.get("FRAUD_MONITORING_DIR") or feedback / "monitoring"),
        alert_for_days=_number(env, "FRAUD_ALERT_FOR_DAYS", default.alert_for_days, 0, 365),
        alert_keep_days=_number(env, "FRAUD_ALERT_KEEP_DAYS", default.alert_keep_days, 0, 365),
        answer_error=_number(env, "FRAUD_ANSWER_ERROR", default.answer_error, 0, 0.25),
    )


def _webhooks(env: Mapping[str, str]) -> WebhookSettings:
    feedback = Path(env.get("FRAUD_FEEDBACK_DIR") or ROOT / "feedback_store")
    return WebhookSettings(
        directory=Path(env.get("FRAUD_WEBHOOK_DIR") or feedback / "webhooks"),
        endpoints=env.get("FRAUD_WEBHOOKS") or "",
        secrets=_list(env, "FRAUD_WEBHOOK_SECRETS"),
        allow_private=env.get("FRAUD_WEBHOOK_ALLOW_PRIVATE") or "",
        send_seconds=_number(env, "FRAUD_WEBHOOK_SECONDS", WebhookSettings.send_seconds, 0.05, 86_400),
    )


def _nodes(env: Mapping[str, str]) -> NodeSettings:
    feedback = Path(env.get("FRAUD_FEEDBACK_DIR") or ROOT / "feedback_store")
    urls = _list(env, "FRAUD_NODES")
    for url in urls:
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname or "@" in address.netloc:
            raise SettingsError(
                "FRAUD_NODES must be addresses such as http://10.0.0.5:7870, with commas between.",
                code="settings",
                field="FRAUD_NODES",
            )
    return NodeSettings(
        directory=Path(env.get("FRAUD_NODE_DIR") or feedback / "nodes"),
        secrets=_list(env, "FRAUD_NODE_SECRETS"),
        hub_secrets=_list(env, "FRAUD_HUB_WEBHOOK_SECRETS"),
        acknowledge_url=(env.get("FRAUD_ACKNOWLEDGE_URL") or "").strip(),
        acknowledge_secrets=_list(env, "FRAUD_ACKNOWLEDGE_SECRETS"),
        urls=urls,
    )


def _list(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in (env.get(name) or "").split(",") if part.strip())


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """Return one of a few words; the first one where nothing is set."""
    chosen = env.get(name) or choices[0]
    if chosen not in choices:
        raise SettingsError(f"{name} must be {' or '.join(choices)}.", code="settings", field=name)
    return chosen


def _password(env: Mapping[str, str]) -> str | None:
    raw = env.get("FRAUD_REVIEW_PASSWORD") or None
    if raw is not None and len(raw) < _SHORTEST_PASSWORD:
        raise SettingsError(
            f"FRAUD_REVIEW_PASSWORD must have at least {_SHORTEST_PASSWORD} characters.",
            code="settings",
            field="FRAUD_REVIEW_PASSWORD",
        )
    return raw


def _forest_engine(env: Mapping[str, str]) -> Literal["auto", "scikit-learn", "scikit-learn-intelex"]:
    raw = env.get("FRAUD_FOREST_ENGINE") or "auto"
    if raw not in ("auto", "scikit-learn", "scikit-learn-intelex"):
        raise SettingsError(
            'FRAUD_FOREST_ENGINE must be "auto", "scikit-learn" or "scikit-learn-intelex".',
            code="settings",
            field="FRAUD_FOREST_ENGINE",
        )
    return cast(Literal["auto", "scikit-learn", "scikit-learn-intelex"], raw)


def _reviewers(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return who may sign in to review; nobody where a sign-in could be forged or would be made up."""
    names = tuple(name.strip() for name in (env.get("FRAUD_REVIEWERS") or "").split(",") if name.strip())
    if not all(_NAME.fullmatch(name) for name in names):
        raise SettingsError(
            "FRAUD_REVIEWERS must be names of users or organisations on the Hub, separated by commas.",
            code="settings",
            field="FRAUD_REVIEWERS",
        )
    # Without the client's secret Gradio signs its session cookie with a public constant, and off a Space it
    # logs everybody in as whoever started it.
    missing = [name for name in _SIGN_IN if not env.get(name)]
    if env.get("SYSTEM") != "spaces":
        missing.insert(0, "SYSTEM=spaces")
    if names and missing:
        _log.warning(
            "FRAUD_REVIEWERS has no effect and nobody can sign in to review, because %s is not set: "
            "that takes a Space with hf_oauth: true.",
            missing[0],
        )
    return () if missing else names


def _hub(env: Mapping[str, str]) -> HubSettings:
    endpoint = (env.get("FRAUD_HUB_ENDPOINT") or "").rstrip("/") or None
    if endpoint is not None:
        address = urlsplit(endpoint)
        # Anybody on the way could read the token.
        local = address.scheme == "http" and address.hostname in ("127.0.0.1", "localhost", "::1")
        if not (local or (address.scheme == "https" and address.hostname)):
            raise SettingsError(
                "FRAUD_HUB_ENDPOINT must be an https:// address.", code="settings", field="FRAUD_HUB_ENDPOINT"
            )
    return HubSettings(
        dataset=_repository(env, "FRAUD_DATASET_REPO"),
        models=_repository(env, "FRAUD_MODEL_REPO"),
        endpoint=endpoint,
        token=env.get("FRAUD_HUB_TOKEN") or env.get("HF_TOKEN") or None,
    )


def _repository(env: Mapping[str, str], name: str) -> str | None:
    raw = env.get(name)
    if not raw:
        return None
    if not is_repository_name(raw):
        raise SettingsError(f"{name} must be ORG/NAME, as on the Hub.", code="settings", field=name)
    return raw


def is_repository_name(text: str) -> bool:
    """Return whether a text is ORG/NAME as the Hub takes it."""
    return bool(_REPOSITORY.fullmatch(text)) and not (".." in text or "--" in text or text.endswith(".git"))


def _limit(env: Mapping[str, str], name: str, default: str) -> str:
    raw = (env.get(name) or default).strip()
    return "" if raw == "off" else raw


def _networks(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    raw = env.get(name) or ""
    try:
        return tuple(str(ipaddress.ip_network(part.strip())) for part in raw.split(",") if part.strip())
    except ValueError as error:
        raise SettingsError(
            f"{name} must list addresses or networks such as 10.0.0.0/8, separated by commas.",
            code="settings",
            field=name,
        ) from error


def _quarantine_days(env: Mapping[str, str], *, strangers: bool) -> float | None:
    if not env.get("FRAUD_QUARANTINE_DAYS"):
        return None if strangers else 0.0
    return _number(env, "FRAUD_QUARANTINE_DAYS", 0, 0, 3_650)


def _node_name(env: Mapping[str, str]) -> str:
    raw = env.get("FRAUD_NODE") or socket.gethostname()
    name = "".join(c if c.isalnum() else "-" for c in raw.lower() if c.isascii()).strip("-")[:32]
    return name or "node"


def _number(env: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    raw = env.get(name)
    if not raw:
        return default
    try:
        value = float(raw)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise SettingsError(f"{name} must be a number from {low:g} to {high:g}.", code="settings", field=name)
    return value
