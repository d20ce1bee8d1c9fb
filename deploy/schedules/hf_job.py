"""Schedule the retraining as a Hugging Face Job: `python deploy/schedules/hf_job.py ORG/SPACE [CRON]`.

The job clones the Space's repository, installs its requirements and calls the one command. The token of
whoever runs this (`hf auth login`) must be allowed to create jobs; FRAUD_HUB_TOKEN goes to the job as a
secret. A job's disk ends with it: dataset and models must be on the Hub (FRAUD_DATASET_REPO,
FRAUD_MODEL_REPO), and the run directory with the count of the held-out window's uses does not outlive the
job, so prefer a machine with a disk where the count matters.
"""

import os
import sys

IMAGE = "python:3.11"
NIGHTLY = "17 3 * * *"
PASSED_ON = ("FRAUD_DATASET_REPO", "FRAUD_MODEL_REPO", "FRAUD_RETRAIN_MIN_LABELS", "FRAUD_RETRAIN_MIN_FRAUDS")


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


def main(arguments: list[str]) -> int:
    """Create the schedule; return the exit code."""
    if not 1 <= len(arguments) <= 2 or arguments[0].count("/") != 1:
        print("usage: python deploy/schedules/hf_job.py ORG/SPACE [CRON]", file=sys.stderr)
        return 2
    token = os.environ.get("FRAUD_HUB_TOKEN")
    missing = [name for name in (*PASSED_ON[:2], "FRAUD_HUB_TOKEN") if not os.environ.get(name)]
    if missing or token is None:
        print(f"{missing[0]} is not set, and the job needs it.", file=sys.stderr)
        return 2
    from huggingface_hub import HfApi

    job = HfApi().create_scheduled_job(
        image=IMAGE,
        command=job_command(arguments[0]),
        schedule=arguments[1] if len(arguments) == 2 else NIGHTLY,
        env={name: os.environ[name] for name in PASSED_ON if os.environ.get(name)},
        secrets={"FRAUD_HUB_TOKEN": token},
        concurrency=False,
        timeout="6h",
    )
    print(f"scheduled {job.id}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
