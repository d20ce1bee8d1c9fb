"""Everything this package raises on purpose.

    FraudError
    ├── SettingsError         an environment variable has an unusable value
    ├── ProfileError          a profile breaks a rule; names the key and the rule
    ├── TableError            a transactions table breaks its profile; names column, rule and row
    ├── TransactionError      one transaction breaks its profile; names the field
    ├── FlagError             a flag cannot be taken as it is (no consent, no label, comment too long)
    ├── RateLimited           too many answers in a short time; `seconds` says how long to wait
    ├── AccessDenied          nobody is logged in who may do this, or the password is wrong
    ├── WebhookRefused        a webhook whose headers, time, signature or body are not what they must be
    ├── EvidenceError         labels, lots or scores that no figure of a monitoring run can rest on
    ├── NotFound              a prediction, receipt, version, revision or file that is not there
    ├── BundleRefused         a model bundle whose files, digests or schema are not what they claim
    ├── StorageError          a write could not be made durable; nothing was acknowledged
    │   └── OutboxFull        the backlog has reached its limit
    ├── NodesUnavailable      no prediction node answered
    └── RepositoryError       a versioned repository could not do what was asked
        └── StaleParent       somebody else committed first; read the head again and retry

Every message is one sentence for a person: the field, the rule, what to do. `code` and `params` let a
page say the same in another language.
"""

from collections.abc import Mapping, Sequence


class FraudError(Exception):
    """Base of every expected failure; `str(error)` is safe to show to a user."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        field: str | None = None,
        params: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.field = field
        self.params: dict[str, object] = dict(params or {})


class SettingsError(FraudError):
    """An environment variable has an unusable value."""


class ProfileError(FraudError):
    """A profile breaks a rule."""


class TableError(FraudError):
    """A transactions table does not fit its profile; `rows` are the positions that break the same rule."""

    rows: Sequence[int] = ()


class TransactionError(FraudError):
    """One transaction does not fit its profile; `problems` lists every broken field, this one first."""

    problems: tuple["TransactionError", ...] = ()


class FlagError(FraudError):
    """A flag cannot be accepted as it is."""


class RateLimited(FraudError):
    """Too many answers in a short time; `params["seconds"]` says how long to wait."""

    @property
    def seconds(self) -> int:
        """How long to wait before the same is accepted."""
        return int(str(self.params.get("seconds", 1)))


class AccessDenied(FraudError):
    """Nobody who may do this is logged in, or the password is wrong."""


class WebhookRefused(FraudError):
    """A webhook's headers, time, signature or body are not what they must be."""


class NotFound(FraudError):
    """Something that was named does not exist."""


class EvidenceError(FraudError):
    """Labels, lots or scores break a rule that every figure about them rests on."""


class BundleRefused(FraudError):
    """A model bundle is not what its manifest says."""


class StorageError(FraudError):
    """A write could not be made durable, and was not acknowledged."""


class OutboxFull(StorageError):
    """The backlog of uncommitted events has reached its limit."""


class NodesUnavailable(FraudError):
    """No prediction node answered; the same request may be sent again."""


class RepositoryError(FraudError):
    """A versioned repository could not do what was asked."""


class StaleParent(RepositoryError):
    """The repository has moved on since the named parent."""
