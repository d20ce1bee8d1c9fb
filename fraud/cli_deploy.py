"""`python -m fraud deploy`: the demo on a Hugging Face Hub (docs/deploy.md).

Exit codes as in fraud.cli: 0 done or nothing to do, 2 an error.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud.settings import Settings

if TYPE_CHECKING:
    from fraud.deployment.deploying import Places, Target
    from fraud.deployment.plan import Step
    from fraud.repositories.hub_client import RepoType
    from fraud.settings_deploy import DeploySettings


def add_deploy_command(commands: Any) -> None:
    """Add `deploy`."""
    deploy = commands.add_parser(
        "deploy", help="put the demo on a Hugging Face Hub, or bring it up to date there"
    )
    deploy.add_argument("--space", required=True, metavar="ORG/NAME", help="the Space that serves")
    deploy.add_argument(
        "--dataset", required=True, metavar="ORG/NAME", help="the dataset of flags; made as a private one"
    )
    deploy.add_argument(
        "--model", required=True, metavar="ORG/NAME", help="the model registry; made as a private one"
    )
    deploy.add_argument("--private", action="store_true", help="make the Space private too")
    deploy.add_argument(
        "--trainer", metavar="ADDRESS", help="https address to tell when flags were committed"
    )
    deploy.add_argument("--title", default="Fraud demo", help="(default: Fraud demo)")
    deploy.add_argument("--license", default="mit", metavar="ID", help="the Hub's word for it (default: mit)")
    deploy.add_argument(
        "--dry-run", action="store_true", help="print the plan with its differences, change nothing"
    )
    deploy.set_defaults(run=_deploy)


def _deploy(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.errors import FraudError
    from fraud.settings_deploy import read_deploy_settings

    target = _target(options)
    given = read_deploy_settings(target.dataset, target.models)
    try:
        _check_what_the_space_reads(target, given)
        with tempfile.TemporaryDirectory(prefix="fraud-deploy-") as scratch:
            _run(target, given, settings, Path(scratch), dry=options.dry_run)
    except FraudError as error:
        raise type(error)(given.conceal(error.message), code=error.code, field=error.field) from None


def _run(target: "Target", given: "DeploySettings", settings: Settings, scratch: Path, *, dry: bool) -> None:
    from fraud.deployment.deploying import Deployment
    from fraud.deployment.plan import visible
    from fraud.settings import ROOT

    places = _places(target, given, settings, scratch)
    plan = Deployment(target, given, places, ROOT, settings.models.artifacts).plan()
    steps = f"{plan.n_changes} step{'' if plan.n_changes == 1 else 's'}"
    if dry:
        print(*plan.lines(diff=True), sep="\n")
        print(f"dry run: {steps} to do, and nothing was changed")
        return
    for step in plan.steps:
        if step.act is not None:
            _do(step)
            print(f"done: {visible(step.title)}", flush=True)
    for note in plan.notes:
        print(f"note: {note}")
    print(f"{steps} done" if plan.n_changes else "nothing to do: all is as it should be")


def _do(step: "Step") -> None:
    from fraud.errors import StaleParent

    try:
        if step.act is not None:
            step.act()
    except StaleParent as error:
        raise StaleParent(
            f"{step.title.partition(':')[0]}: somebody else committed there meanwhile (another deployment, "
            "or the Space itself); run the same command again.",
            code=error.code,
            field=error.field,
        ) from None


def _target(options: argparse.Namespace) -> "Target":
    from fraud.deployment.deploying import Target
    from fraud.errors import SettingsError
    from fraud.webhooks.endpoints import parse_address

    names = {"--space": options.space, "--dataset": options.dataset, "--model": options.model}
    for option, name in names.items():
        _check_name(option, name)
    if options.trainer is not None:
        address = parse_address(options.trainer, "--trainer")
        if not options.trainer.startswith("https://"):
            raise SettingsError(
                f"--trainer must be an https address and not http://{address.host}: the Hub sends the secret "
                "itself.",
                code="settings",
                field="--trainer",
            )
    return Target(
        options.space,
        options.dataset,
        options.model,
        private=options.private,
        title=options.title,
        licence=options.license,
        trainer=options.trainer,
    )


def _check_name(option: str, name: str) -> None:
    from fraud.errors import SettingsError
    from fraud.settings import is_repository_name

    if not is_repository_name(name):
        raise SettingsError(f"{option} must be ORG/NAME, as on the Hub.", code="settings", field=option)


def _check_what_the_space_reads(target: "Target", given: "DeploySettings") -> None:
    """Raise SettingsError now where the Space would, at its start."""
    from fraud.settings import read_settings
    from fraud.wiring import check_webhooks

    check_webhooks(read_settings({"SPACE_ID": target.space, **given.variables, **given.secrets}))


def _places(target: "Target", given: "DeploySettings", settings: Settings, scratch: Path) -> "Places":
    from fraud.deployment.deploying import Places
    from fraud.repositories.hub import HubRepository
    from fraud.repositories.hub_client import HubClient
    from fraud.repositories.hub_space import SpaceClient
    from fraud.repositories.retries import Retries, RetryPolicy
    from fraud.settings import HubSettings
    from fraud.wiring import dataset_repository, model_registry

    endpoint = settings.hub.endpoint
    # What is read on the way is forgotten afterwards; the running demo's caches are its own.
    there = replace(
        settings,
        hub=HubSettings(target.dataset, target.models, endpoint, given.token),
        feedback=replace(settings.feedback, directory=scratch),
        models=replace(settings.models, registry=scratch),
    )
    retries = Retries(RetryPolicy(), f"The Hub's Space {target.space}")

    def client(name: str, kind: "RepoType") -> HubClient:
        patience = Retries(RetryPolicy(), f"The Hub repository {name}")
        return HubClient(name, kind, given.token, endpoint, patience)

    return Places(
        files=HubRepository(
            target.space,
            "space",
            token=given.token,
            endpoint=endpoint,
            cache=scratch / "hub",
            private=target.private,
            retries=retries,
        ),
        dataset=dataset_repository(there),
        registry=model_registry(there),
        space=SpaceClient(target.space, given.token, endpoint, retries),
        as_space=SpaceClient(target.space, given.space_token, endpoint, retries),
        dataset_client=client(target.dataset, "dataset"),
        models_client=client(target.models, "model"),
    )
