"""Adapters that talk to the loopback Hub, patient in attempts but not in time."""

from pathlib import Path

from fraud.repositories.hub import HubRepository
from fraud.repositories.retries import Retries, RetryPolicy
from tests.hub.server import WRITE_TOKEN, LoopbackHub

DATASET = "org/feedback"
QUICK = RetryPolicy(attempts=6, first_wait_s=0.005, max_wait_s=0.05)


def open_repository(
    url: str,
    cache: Path,
    repo_id: str = DATASET,
    policy: RetryPolicy = QUICK,
    token: str | None = WRITE_TOKEN,
) -> HubRepository:
    retries = Retries(policy, f"The Hub repository {repo_id}")
    return HubRepository(repo_id, "dataset", token=token, endpoint=url, cache=cache, retries=retries)


def source(hub: LoopbackHub, cache: Path) -> str:
    """Return code that makes the same `repository` in another process."""
    return (
        f"from pathlib import Path\n"
        f"from tests.hub.clients import open_repository\n"
        f"repository = open_repository({hub.url!r}, Path({str(cache)!r}))\n"
    )
