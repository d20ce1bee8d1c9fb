"""From what is on this disk and on the Hub to a plan of steps, each of which may safely be run again."""

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fraud.deployment.plan import Plan, Step, file_lines
from fraud.deployment.rights import READ, WEBHOOKS, WRITE, Need, lacking
from fraud.deployment.space_files import space_files, total_bytes
from fraud.errors import NotFound, RepositoryError
from fraud.feedback.card import CARD_PATH, dataset_card, schema_version_of
from fraud.feedback.events import SCHEMA_VERSION
from fraud.models import bundle
from fraud.registry import ModelRegistry
from fraud.repositories.hub import HubRepository
from fraud.repositories.hub_client import HubClient
from fraud.repositories.hub_space import HubWebhook, SpaceClient, SpaceState, differs, same_route
from fraud.repositories.port import Add, Delete, Operation, VersionedRepository
from fraud.settings_deploy import DeploySettings

_WHO = "deploy"
_CHECK = "set by `fraud deploy`, check "
TELL_SPACE = "/webhooks/model"


@dataclass(frozen=True)
class Target:
    """What is deployed where; the names are ORG/NAME.

    Attributes
    ----------
    trainer : address that is told when flags were committed, such as "https://host/webhooks/dataset"
    """

    space: str
    dataset: str
    models: str
    private: bool = False
    title: str = "Fraud demo"
    licence: str = "mit"
    trainer: str | None = None


@dataclass(frozen=True)
class Places:
    """The three repositories, as whoever deploys reaches them, and the Space as it knows itself."""

    files: HubRepository
    dataset: VersionedRepository
    registry: ModelRegistry
    space: SpaceClient
    as_space: SpaceClient
    dataset_client: HubClient
    models_client: HubClient


class Deployment:
    """Looks at the Hub and says what is to be done.

    Parameters
    ----------
    root : the project's directory
    artifacts : the release that is shipped
    """

    def __init__(
        self, target: Target, settings: DeploySettings, places: Places, root: Path, artifacts: Path
    ) -> None:
        self._target = target
        self._settings = settings
        self._places = places
        self._root = root
        self._artifacts = artifacts

    def plan(self) -> Plan:
        """Return what is to be done; changes nothing.

        Raises
        ------
        RepositoryError
            A token may not do what it takes, or the Hub holds another release of the same version.
        BundleRefused
            The release is not what its manifest says, or not signed by a trusted key.
        """
        state = self._places.space.state()
        self._check_rights(state)
        files = space_files(self._root, self._artifacts, self._front_matter())
        space = self._places.space
        variables, secrets = ({}, {}) if state is None else (space.variables(), space.secrets())
        steps = [self._dataset(), *self._models(), *self._space(state)]
        steps += self._environment(variables, secrets)
        steps.append(self._files(files))
        webhooks, notes = self._webhooks(state)
        return Plan((*steps, *webhooks), (*notes, *self._left({*variables, *secrets}), *self._notes()))

    def _check_rights(self, state: SpaceState | None) -> None:
        target, places = self._target, self._places
        data_there = places.dataset.head() is not None
        models_there = places.registry.head() is not None
        needs = [
            Need(WRITE, "space", target.space, state is not None),
            Need(WRITE, "dataset", target.dataset, data_there),
            Need(WRITE, "model", target.models, models_there),
        ]
        if self._settings.secrets.get("FRAUD_HUB_WEBHOOK_SECRETS"):
            needs.append(Need(WEBHOOKS, "user"))
        _require("The token that deploys (HF_TOKEN, else FRAUD_HUB_TOKEN)", places.space, needs)
        if self._settings.token != self._settings.space_token:
            own = [Need(WRITE, "dataset", target.dataset), Need(READ, "model", target.models)]
            _require("The Space's token (FRAUD_HUB_TOKEN)", places.as_space, own)

    def _front_matter(self) -> dict[str, object]:
        target = self._target
        front: dict[str, object] = {
            "title": target.title,
            "colorFrom": "blue",
            "colorTo": "gray",
            "license": target.licence,
            "models": [target.models],
            "datasets": [target.dataset],
        }
        # Gives the Space what reviewers sign in with.
        return front | ({"hf_oauth": True} if "FRAUD_REVIEWERS" in self._settings.variables else {})

    def _dataset(self) -> Step:
        repository, name = self._places.dataset, self._target.dataset
        head = repository.head()
        old = None if head is None else _optional(repository, CARD_PATH, head)
        card = dataset_card().encode()
        newer = old is not None and (schema_version_of(old) or 0) > SCHEMA_VERSION
        if newer or old == card:
            return Step(f"dataset {name}: its card is there")
        operations = [Add(CARD_PATH, card)]

        def act() -> None:
            repository.commit(operations, "Describe the dataset", head)

        title = f"dataset {name}: {'create, private, ' if head is None else ''}with its card"
        return Step(title, act, lambda: [*file_lines(operations, lambda _: old)])

    def _models(self) -> Iterator[Step]:
        registry, name = self._places.registry, self._target.models
        manifest, digest = bundle.verify(self._artifacts)
        version, champion = str(manifest["version"]), registry.aliases().champion
        known = _identity(registry, version)
        if known is not None and known != digest:
            raise RepositoryError(
                f"{name} holds another release {version}; give this one a version of its own "
                "(`python -m fraud train --release`).",
                code="version_taken",
            )
        if known is not None and champion is not None:
            yield Step(f"models {name}: release {version} is recorded, {champion} serves")
            return

        def act() -> None:
            registry.record(self._artifacts, f"Record the shipped version {version}", first_by=_WHO)
            if registry.aliases().champion is None:  # recorded once, and never promoted
                registry.promote(version, who=_WHO)

        serves = (
            "and let it serve" if champion is None else f"({champion} goes on serving: `promote {version}`)"
        )
        made = "create, private, " if registry.head() is None else ""
        paths = [bundle.MANIFEST, *manifest["files"]]
        yield Step(
            f"models {name}: {made}record release {version} {serves}",
            act,
            lambda: [f"+ {path}  {(self._artifacts / path).stat().st_size:,} bytes" for path in paths],
        )

    def _space(self, state: SpaceState | None) -> Iterator[Step]:
        space, name, private = self._places.space, self._target.space, self._target.private
        word = "private" if private else "public"
        if state is None:
            yield Step(f"space {name}: create, {word}", lambda: space.create_space(private))
        elif private and not state.private:
            yield Step(f"space {name}: make private, it is public", space.hide)
        else:
            yield Step(f"space {name}: is there, {'private' if state.private else 'public'}")

    def _environment(self, variables: Mapping[str, str], described: Mapping[str, str]) -> Iterator[Step]:
        """Yield what is to be set; of the Space's secrets only their descriptions are known."""
        space, settings = self._places.space, self._settings
        _check_apart(self._target.space, settings, variables, described)
        for name, value in settings.variables.items():
            old = variables.get(name)
            if old == value:
                yield Step(f"variable {name}: is {value}")
            else:
                was = f", was {old}" if old is not None else ""
                yield Step(f"variable {name}: set to {value}{was}", _setter(space.set_variable, name, value))
        for name, value in settings.secrets.items():
            check = _CHECK + fingerprint(settings.space_token, self._target.space, name, value)
            if described.get(name) == check:
                yield Step(f"secret {name}: is as here")
            else:
                word = "replace" if name in described else "set"
                yield Step(f"secret {name}: {word}", _setter(space.set_secret, name, value, check))

    def _left(self, names: Set[str]) -> Iterator[str]:
        """Yield what an earlier deployment set on the Space and this one does not know."""
        settings = self._settings
        ours = {name for name in names if name.startswith("FRAUD_")}
        if left := sorted(ours - settings.variables.keys() - settings.secrets.keys()):
            yield f"set on the Space, not here, and left there: {', '.join(left)}; its settings delete them"

    def _files(self, files: Mapping[str, bytes | Path]) -> Step:
        repository, name = self._places.files, self._target.space
        head = repository.head()
        present, changes = _file_changes(repository, head, files)
        size = f"{len(files)} files, {total_bytes(files) / 1e6:.1f} MB"
        if not changes:
            return Step(f"space {name}: {size}, all there")

        def act() -> None:
            if head is not None:
                repository.commit(changes, "Deploy the demo", head)
                return
            born = repository.head()  # with what the Hub put into the new Space, if that was more than usual
            repository.commit(_file_changes(repository, born, files)[1], "Deploy the demo", born)

        def read(path: str) -> bytes | None:
            return None if head is None or path not in present else repository.read(path, head)

        title = f"space {name}: commit {len(changes)} of its {size}"
        return Step(title, act, lambda: [*file_lines(changes, read)])

    def _webhooks(self, state: SpaceState | None) -> tuple[list[Step], list[str]]:
        secrets = self._settings.secrets.get("FRAUD_HUB_WEBHOOK_SECRETS")
        if not secrets:
            return [], ["no webhook is made: FRAUD_HUB_WEBHOOK_SECRETS is not set; the Space looks by itself"]
        steps, notes = [], []
        secret = secrets.split(",")[0].strip()
        known = self._places.space.webhooks()
        if self._target.trainer is None:
            notes.append("no webhook tells a trainer of flags (--trainer ADDRESS); it looks by itself")
        else:
            told = HubWebhook(self._target.trainer, (("dataset", self._target.dataset),), secret=secret)
            steps.append(self._webhook("dataset -> trainer", told, known))
            notes += self._others_told(told, known)
        if self._target.private or (state is not None and state.private):
            notes.append(
                "no webhook tells a private Space of promotions, which answers nobody; it looks by itself"
            )
        elif state is None or state.address is None:
            steps.append(Step("webhook models -> space: make, once the Space is", self._tell_space))
        else:
            told = self._of_models(state.address, secret)
            steps.append(self._webhook("models -> space", told, known))
            notes += self._others_told(told, known)
        return steps, notes

    def _others_told(self, wanted: HubWebhook, known: Sequence[HubWebhook]) -> Iterator[str]:
        """Yield who else is told of a repository: an address of before goes on getting events."""
        (_, repository) = wanted.watched[0]
        hosts = {
            urlsplit(webhook.url).hostname or "an address without a host"
            for webhook in known
            if set(webhook.watched) & set(wanted.watched)
            and not webhook.disabled
            and not same_route(webhook, wanted)
        }
        for host in sorted(hosts):
            yield f"{host} is told of {repository} too; delete its webhook on the Hub if it is an old one"

    def _of_models(self, address: str, secret: str) -> HubWebhook:
        return HubWebhook(address + TELL_SPACE, (("model", self._target.models),), secret=secret)

    def _tell_space(self) -> None:
        state = self._places.space.state()
        if state is None or state.address is None:
            raise RepositoryError(
                "The Hub names no address of the Space yet; run the same command again in a minute.",
                code="no_address",
            )
        secret = self._settings.secrets["FRAUD_HUB_WEBHOOK_SECRETS"].split(",")[0].strip()
        self._places.space.set_webhook(self._of_models(state.address, secret))

    def _webhook(self, name: str, wanted: HubWebhook, known: Sequence[HubWebhook]) -> Step:
        same = [webhook for webhook in known if same_route(webhook, wanted)]
        if same and not differs(same[0], wanted) and not same[0].disabled:
            return Step(f"webhook {name}: is there")
        word = "make" if not same else "enable" if not differs(same[0], wanted) else "change"
        return Step(f"webhook {name}: {word}", lambda: self._places.space.set_webhook(wanted))

    def _notes(self) -> Iterator[str]:
        settings, target, places = self._settings, self._target, self._places
        # Their owner may have opened them (docs/decisions/0036), and ought to know that they are open.
        for name, client, holds in (
            (target.dataset, places.dataset_client, "what people flag and write"),
            (target.models, places.models_client, "the models, and the part of their table that they ship"),
        ):
            if client.is_private() is False:
                yield f"{name} is public: everybody can read {holds}; its settings there close it"
        if settings.stays:
            yield f"set here and not sent: {', '.join(settings.stays)}"
        if settings.token == settings.space_token:
            yield "the Space gets the token that deploys; a narrower one is FRAUD_HUB_TOKEN beside HF_TOKEN"
        if "FRAUD_PSEUDONYM_KEY" not in settings.secrets:
            yield "FRAUD_PSEUDONYM_KEY is not set: whenever the Space starts anew, reporters are new people"


def _file_changes(
    repository: HubRepository, head: str | None, files: Mapping[str, bytes | Path]
) -> tuple[Sequence[str], list[Operation]]:
    """Return what is there, and what makes it exactly `files`."""
    present = () if head is None else repository.files(head)
    wanted: list[Operation] = [Delete(path) for path in present if path not in files]
    wanted += [Add(path, content) for path, content in files.items()]
    return present, repository.pending(wanted, head)


def fingerprint(key: str, space: str, name: str, value: str) -> str:
    """Return what tells whether a secret on the Hub is ours: it shows descriptions, and no values.

    An HMAC-SHA256 under the Space's token, cut to 64 bits: without that token nobody can try values.
    """
    said = "\0".join((space, name, value)).encode()
    return hmac.new(key.encode(), said, hashlib.sha256).hexdigest()[:16]


def _check_apart(
    space: str, settings: DeploySettings, variables: Mapping[str, str], secrets: Mapping[str, str]
) -> None:
    """Refuse a name that would be both: everybody who sees the Space reads its variables."""
    for name in sorted(
        (settings.secrets.keys() & variables.keys()) | (settings.variables.keys() & secrets.keys())
    ):
        is_open = name in settings.secrets
        raise RepositoryError(
            f"{name} is a {'variable, which everybody can read,' if is_open else 'secret'} of the Space "
            f"{space}; delete it in the Space's settings{', take a new value' if is_open else ''}, and run "
            "the same command again.",
            code="name_taken",
            field=name,
        )


def _setter(method: Callable[..., None], *arguments: str) -> Callable[[], None]:
    return lambda: method(*arguments)


def _require(whose: str, client: SpaceClient, needs: Sequence[Need]) -> None:
    missing = lacking(client.who(), needs)
    if missing:
        raise RepositoryError(f"{whose} lacks {'; '.join(missing)}.", code="refused")


def _optional(repository: VersionedRepository, path: str, revision: str) -> bytes | None:
    try:
        return repository.read(path, revision)
    except NotFound:
        return None


def _identity(registry: ModelRegistry, version: str) -> str | None:
    try:
        return registry.identity(version)[1]
    except NotFound:
        return None
