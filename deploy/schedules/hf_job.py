"""Schedule the retraining as a Hugging Face Job: `python deploy/schedules/hf_job.py ORG/SPACE [CRON]`.

The job clones the Space's repository, installs its requirements and calls the one command. The token
of whoever runs this (`hf auth login`) must be allowed to create jobs. The settings of this shell go with it:
FRAUD_HUB_TOKEN, FRAUD_SIGNING_KEY (the base64 seed), FRAUD_WEBHOOKS (a file goes as its text) and
FRAUD_WEBHOOK_SECRETS as secrets. A job's disk ends with it: dataset and models must be on the Hub
(FRAUD_DATASET_REPO, FRAUD_MODEL_REPO), and neither the count of the held-out window's uses nor a message that
did not arrive outlives the job, so prefer a machine with a disk where they matter.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

IMAGE = "python:3.11"
NIGHTLY = "17 3 * * *"
NEEDED = ("FRAUD_DATASET_REPO", "FRAUD_MODEL_REPO", "FRAUD_HUB_TOKEN")
PASSED_ON = (
    "FRAUD_DATASET_REPO",
    "FRAUD_MODEL_REPO",
    "FRAUD_TRUSTED_KEYS",
    "FRAUD_APPROVAL",
    "FRAUD_QUARANTINE_DAYS",
    "FRAUD_RETRAIN_MIN_LABELS",
    "FRAUD_RETRAIN_MIN_FRAUDS",
    "FRAUD_RETRAIN_MAX_AGE_DAYS",
    "FRAUD_GOLD_BUDGET",
)
SECRET = ("FRAUD_HUB_TOKEN", "FRAUD_SIGNING_KEY", "FRAUD_WEBHOOKS", "FRAUD_WEBHOOK_SECRETS")


def job_command(space: str) -> list[str]:
    """Return what the job runs; its exit code is the retraining's."""
    # A job counts as failed from exit code 1 on; a refusal is none. What fails before it is an error.
    script = [
        f"git clone --depth 1 https://huggingface.co/spaces/{space} /fraud || exit 2",
        "cd /fraud || exit 2",
        "python -m pip install --quiet -r requirements.txt || exit 2",
        "FRAUD_PYTHON=python sh deploy/schedules/retrain.sh",
        "code=$?",
        '[ "$code" -eq 1 ] && exit 0',
        'exit "$code"',
    ]
    return ["sh", "-c", "\n".join(script)]


def job_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what goes to the job as secrets: values, not paths of this machine.

    Raises
    ------
    OSError
        FRAUD_WEBHOOKS names a file that cannot be read.
    """
    secrets = {name: environment[name] for name in SECRET if environment.get(name)}
    webhooks = secrets.get("FRAUD_WEBHOOKS", "://")
    if "://" not in webhooks:
        secrets["FRAUD_WEBHOOKS"] = Path(webhooks).read_text(encoding="utf-8")
    return secrets


def problem(environment: Mapping[str, str]) -> str | None:
    """Return why a job with these settings could not do its work, in one sentence; None if it could."""
    missing = [name for name in NEEDED if not environment.get(name)]
    if missing:
        return f"{missing[0]} is not set, and the job needs it."
    key = environment.get("FRAUD_SIGNING_KEY") or ""
    if environment.get("FRAUD_TRUSTED_KEYS") and not key:
        return (
            "FRAUD_TRUSTED_KEYS is set and FRAUD_SIGNING_KEY is not: nobody would load what the job trains; "
            "set it."
        )
    if key and Path(key).is_file():
        return "FRAUD_SIGNING_KEY names a file of this machine; set it to the base64 seed, which can be sent."
    try:
        job_secrets(environment)
    except OSError as error:
        return f"The file that FRAUD_WEBHOOKS names cannot be read ({error.strerror})."
    return None


def main(arguments: list[str]) -> int:
    """Create the schedule; return the exit code."""
    if not 1 <= len(arguments) <= 2 or arguments[0].count("/") != 1:
        print("usage: python deploy/schedules/hf_job.py ORG/SPACE [CRON]", file=sys.stderr)
        return 2
    reason = problem(os.environ)
    if reason is not None:
        print(reason, file=sys.stderr)
        return 2
    from huggingface_hub import HfApi

    job = HfApi().create_scheduled_job(
        image=IMAGE,
        command=job_command(arguments[0]),
        schedule=arguments[1] if len(arguments) == 2 else NIGHTLY,
        env={name: os.environ[name] for name in PASSED_ON if os.environ.get(name)},
        secrets=job_secrets(os.environ),
        concurrency=False,
        timeout="6h",
    )
    print(f"scheduled {job.id}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
