"""All configuration, typed and frozen. The only reader of the environment."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fraud.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class ServerSettings:
    """Where the demo listens."""

    host: str = "127.0.0.1"
    port: int = 7860


@dataclass(frozen=True)
class FeedbackSettings:
    """Where flags go, and how often they are committed."""

    directory: Path = ROOT / "feedback_store"
    node: str = "local"
    commit_seconds: float = 2.0
    max_backlog: int = 50_000
    pseudonym_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ModelSettings:
    """Where models come from, and how often a node looks for a promotion."""

    artifacts: Path = ROOT / "artifacts"
    registry: Path = ROOT / "artifacts" / "registry"
    refresh_seconds: float = 2.0


@dataclass(frozen=True)
class Settings:
    """The whole configuration, by section."""

    server: ServerSettings = ServerSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    models: ModelSettings = ModelSettings()


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of this process.

    Variables: FRAUD_HOST, FRAUD_PORT, FRAUD_FEEDBACK_DIR, FRAUD_NODE, FRAUD_COMMIT_SECONDS,
    FRAUD_MAX_BACKLOG, FRAUD_PSEUDONYM_KEY (secret), FRAUD_ARTIFACTS_DIR, FRAUD_REGISTRY_DIR,
    FRAUD_REFRESH_SECONDS. On a Space (SPACE_ID is set) the host defaults to 0.0.0.0.

    Raises
    ------
    SettingsError
        Naming the variable and what it must be.
    """
    env = os.environ if environment is None else environment
    on_space = bool(env.get("SPACE_ID"))
    artifacts = Path(env.get("FRAUD_ARTIFACTS_DIR") or ROOT / "artifacts")
    return Settings(
        server=ServerSettings(
            host=env.get("FRAUD_HOST") or ("0.0.0.0" if on_space else "127.0.0.1"),  # noqa: S104 (a Space's proxy)
            port=int(_number(env, "FRAUD_PORT", 7860, 1, 65_535)),
        ),
        feedback=FeedbackSettings(
            directory=Path(env.get("FRAUD_FEEDBACK_DIR") or ROOT / "feedback_store"),
            node=_node_name(env),
            commit_seconds=_number(env, "FRAUD_COMMIT_SECONDS", 2.0, 0.05, 86_400),
            max_backlog=int(_number(env, "FRAUD_MAX_BACKLOG", 50_000, 1, 10_000_000)),
            pseudonym_key=env.get("FRAUD_PSEUDONYM_KEY") or None,
        ),
        models=ModelSettings(
            artifacts=artifacts,
            registry=Path(env.get("FRAUD_REGISTRY_DIR") or artifacts / "registry"),
            refresh_seconds=_number(env, "FRAUD_REFRESH_SECONDS", 2.0, 0.05, 86_400),
        ),
    )


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
