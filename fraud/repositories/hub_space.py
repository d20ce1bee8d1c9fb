"""A Space on a Hub and the account behind it: variables, secrets, webhooks, and what a token may do."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fraud.repositories.hub_client import HubClient
from fraud.repositories.retries import Retries

if TYPE_CHECKING:
    from huggingface_hub import WebhookInfo


@dataclass(frozen=True, slots=True)
class SpaceState:
    """What the Hub says of a Space. `address` is where it answers, such as "https://org-name.hf.space"."""

    private: bool
    address: str | None


@dataclass(frozen=True, slots=True)
class HubWebhook:
    """A webhook of an account: `kind` and `repository` that it watches, and whom it tells.

    Attributes
    ----------
    watched : pairs of a kind ("model", "dataset", "space", "user", "org") and a name
    secret : None where the Hub does not show it
    """

    url: str = field(repr=False)
    watched: tuple[tuple[str, str], ...]
    domains: tuple[str, ...] = ("repo",)
    secret: str | None = field(default=None, repr=False)
    disabled: bool = False
    webhook_id: str = ""


class SpaceClient(HubClient):
    """One Space. Methods may be repeated: what was done already is done again, or left.

    Raises
    ------
    RepositoryError
        From every method: the Hub refused, and in which words, or could not be reached.
    """

    def __init__(self, repo_id: str, token: str | None, endpoint: str | None, retries: Retries) -> None:
        super().__init__(repo_id, "space", token, endpoint, retries)

    def __repr__(self) -> str:
        return f"SpaceClient({self._id!r})"

    def who(self) -> dict[str, Any]:
        """Return what the Hub says of the token and its account."""
        return self.run(lambda: dict(self._api.whoami()))

    def state(self) -> SpaceState | None:
        """Return how the Space is; None if there is none that the token may see."""
        found = self.run(self._described)
        return None if found is None else SpaceState(bool(found.get("private")), found.get("host"))

    def create_space(self, private: bool) -> None:
        """Create the Space unless it is there; it holds what the Hub puts there, and is not built yet."""
        self.run(lambda: self.create(private))

    def variables(self) -> dict[str, str]:
        """Return the variables by name."""
        found = self.run(lambda: self._api.get_space_variables(self._id))
        return {name: variable.value for name, variable in found.items()}

    def secrets(self) -> dict[str, str]:
        """Return the secrets' descriptions by name; the Hub shows no value to anybody."""
        found = self.run(lambda: self._api.get_space_secrets(self._id))
        return {name: secret.description or "" for name, secret in found.items()}

    def set_variable(self, name: str, value: str) -> None:
        """Set a variable; a Space that runs starts again."""
        self.run(lambda: self._api.add_space_variable(self._id, name, value))

    def set_secret(self, name: str, value: str, description: str) -> None:
        """Set a secret; a Space that runs starts again."""
        self.run(lambda: self._api.add_space_secret(self._id, name, value, description=description))

    def webhooks(self) -> tuple[HubWebhook, ...]:
        """Return the account's webhooks that tell an address."""
        found = self.run(self._api.list_webhooks)
        return tuple(_webhook(info) for info in found if info.url is not None)

    def set_webhook(self, wanted: HubWebhook) -> None:
        """Make one webhook of the account as wanted: made, changed, enabled or left as it is.

        Looked at before every attempt: one whose answer was lost may have made it.
        """

        def attempt() -> None:
            known = [webhook for webhook in self.webhooks() if same_route(webhook, wanted)]
            if not known:
                self._api.create_webhook(
                    url=wanted.url, watched=_watched(wanted), domains=_domains(wanted), secret=wanted.secret
                )
                return
            if differs(known[0], wanted):
                self._api.update_webhook(
                    known[0].webhook_id,
                    url=wanted.url,
                    watched=_watched(wanted),
                    domains=_domains(wanted),
                    secret=wanted.secret,
                )
            if known[0].disabled:
                self._api.enable_webhook(known[0].webhook_id)

        self.run(attempt)


def same_route(one: HubWebhook, other: HubWebhook) -> bool:
    """Return whether two webhooks watch the same and tell the same address."""
    return one.url == other.url and set(one.watched) == set(other.watched)


def differs(known: HubWebhook, wanted: HubWebhook) -> bool:
    """Return whether a webhook of the same route has other domains, or shows another secret."""
    other_secret = known.secret is not None and known.secret != wanted.secret
    return set(known.domains) != set(wanted.domains) or other_secret


def _webhook(info: "WebhookInfo") -> HubWebhook:
    return HubWebhook(
        url=str(info.url),
        watched=tuple((item.type, item.name) for item in info.watched),
        domains=tuple(info.domains),
        secret=info.secret,
        disabled=info.disabled,
        webhook_id=info.id,
    )


def _watched(webhook: HubWebhook) -> list[Any]:
    return [{"type": kind, "name": name} for kind, name in webhook.watched]


def _domains(webhook: HubWebhook) -> list[Any]:
    return list(webhook.domains)
