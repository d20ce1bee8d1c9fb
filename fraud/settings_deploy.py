"""What of this machine's environment a Space is given: its secrets, its variables, and nothing else.

Every variable of the settings is in one of three lists, and a test sees to it that a new one is too.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from fraud.errors import SettingsError

SECRET = frozenset({
    "FRAUD_HUB_TOKEN", "FRAUD_PSEUDONYM_KEY", "FRAUD_REVIEW_PASSWORD", "FRAUD_WEBHOOKS",
    "FRAUD_WEBHOOK_SECRETS", "FRAUD_HUB_WEBHOOK_SECRETS", "FRAUD_ACKNOWLEDGE_SECRETS", "FRAUD_API_KEYS",
    "FRAUD_NODE_KEY",
})  # fmt: skip
"""Sent as secrets; shown by nobody afterwards, the Hub included."""

PUBLIC = frozenset({
    "FRAUD_DATASET_REPO", "FRAUD_MODEL_REPO", "FRAUD_HUB_ENDPOINT", "FRAUD_COMMIT_SECONDS",
    "FRAUD_MAX_BACKLOG", "FRAUD_REPORTER_LIMIT", "FRAUD_ADDRESS_LIMIT", "FRAUD_LOOKUP_LIMIT",
    "FRAUD_TRUSTED_PROXIES", "FRAUD_AUDIT_SHARE", "FRAUD_QUARANTINE_DAYS", "FRAUD_REFRESH_SECONDS",
    "FRAUD_REVIEWERS", "FRAUD_WEBHOOK_ALLOW_PRIVATE", "FRAUD_WEBHOOK_SECONDS", "FRAUD_ALERT_FOR_DAYS",
    "FRAUD_ALERT_KEEP_DAYS", "FRAUD_ANSWER_ERROR", "FRAUD_TRUSTED_KEYS", "FRAUD_SHADOW", "FRAUD_NODES",
    "FRAUD_CORS_ORIGINS", "FRAUD_REQUEST_LIMIT",
})  # fmt: skip
"""Sent as variables, which anybody who sees the Space can read."""

STAYS = frozenset({
    "FRAUD_HOST", "FRAUD_PORT", "FRAUD_NODE", "FRAUD_FEEDBACK_DIR", "FRAUD_ARTIFACTS_DIR",
    "FRAUD_REGISTRY_DIR", "FRAUD_WEBHOOK_DIR", "FRAUD_MONITORING_DIR", "FRAUD_NODE_DIR", "FRAUD_POLICY",
    "FRAUD_SIGNING_KEY", "FRAUD_APPROVAL", "FRAUD_FOREST_ENGINE", "FRAUD_NODE_SECRETS",
    "FRAUD_ACKNOWLEDGE_URL", "FRAUD_RETRAIN_MIN_LABELS", "FRAUD_RETRAIN_MIN_FRAUDS",
    "FRAUD_RETRAIN_MAX_AGE_DAYS", "FRAUD_GOLD_BUDGET", "FRAUD_RETRAIN_KEEP_RUNS", "FRAUD_NOTEBOOK_ROWS",
    "FRAUD_NOTEBOOK_TRIALS", "FRAUD_MCP",
})  # fmt: skip
"""Never sent: about this machine, a trainer or a node; FRAUD_MCP, because its package is not locked."""


@dataclass(frozen=True)
class DeploySettings:
    """Who deploys, and what the Space is given.

    Attributes
    ----------
    token : what the Hub knows the one by who deploys: HF_TOKEN, else FRAUD_HUB_TOKEN
    secrets : name -> value; FRAUD_HUB_TOKEN, what the Space itself is known by, is among them
    variables : name -> value
    stays : names of variables that are set here and are not sent
    """

    token: str = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    variables: Mapping[str, str]
    stays: tuple[str, ...] = ()

    @property
    def space_token(self) -> str:
        """What the Hub knows the Space by."""
        return self.secrets["FRAUD_HUB_TOKEN"]

    def conceal(self, text: str) -> str:
        """Return a text without any of the secrets: the words of a refusal are the Hub's, not ours."""
        values = {self.token, *self.secrets.values()}
        values |= {part.strip() for value in self.secrets.values() for part in value.split(",")}
        for value in sorted(values - {""}, key=len, reverse=True):
            text = text.replace(value, "...")
        return text


def read_deploy_settings(
    dataset: str, models: str, environment: Mapping[str, str] | None = None
) -> DeploySettings:
    """Return what a Space over these two repositories is given; variables that are empty count as unset.

    Raises
    ------
    SettingsError
        There is no token for the Space.
    """
    env = os.environ if environment is None else environment
    given = {name: env[name].strip() for name in SECRET | PUBLIC | STAYS if env.get(name, "").strip()}
    space_token = given.get("FRAUD_HUB_TOKEN")
    if space_token is None:
        raise SettingsError(
            "FRAUD_HUB_TOKEN must be the token that the Space is to use, to write the dataset and read the "
            "models; the token that deploys may be another one, in HF_TOKEN.",
            code="settings",
            field="FRAUD_HUB_TOKEN",
        )
    given |= {"FRAUD_DATASET_REPO": dataset, "FRAUD_MODEL_REPO": models}
    stays = {name for name in given if name in STAYS}
    if not given.get("FRAUD_WEBHOOKS", "https://").startswith(("https://", "http://")):
        stays.add("FRAUD_WEBHOOKS")  # a file of this machine
    sent = {name: value for name, value in given.items() if name not in stays}
    return DeploySettings(
        token=env.get("HF_TOKEN", "").strip() or space_token,
        secrets={name: sent[name] for name in sorted(SECRET & sent.keys())},
        variables={name: sent[name] for name in sorted(PUBLIC & sent.keys())},
        stays=tuple(sorted(stays)),
    )
