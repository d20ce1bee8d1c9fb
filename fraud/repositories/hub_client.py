"""Requests to a Hugging Face Hub about one repository, each with a timeout and every failure named.

With `hub_space.py`, which stands on it, the only module that imports the Hub's client library, and only when
the first request is made: a process that works locally never pays for it.
"""

import contextlib
import contextvars
import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote

from fraud.errors import FraudError, NotFound, RepositoryError, StaleParent
from fraud.repositories.blobs import RemoteFile
from fraud.repositories.port import Add, Operation
from fraud.repositories.retries import Retries, Transient, retry_after_s

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

T = TypeVar("T")
RepoType = Literal["dataset", "model", "space"]
BRANCH = "main"
_CONNECT_S, _ANSWER_S = 10.0, 60.0
_ours: contextvars.ContextVar[bool] = contextvars.ContextVar("fraud_hub_request", default=False)


class HubClient:
    """One repository on the Hub. Methods ask once; `run` repeats what they do while that may help."""

    def __init__(
        self, repo_id: str, repo_type: RepoType, token: str | None, endpoint: str | None, retries: Retries
    ) -> None:
        self._id = repo_id
        self._type = repo_type
        self._token = token
        self._endpoint = endpoint
        self._retries = retries

    def __repr__(self) -> str:
        return f"HubClient({self._id!r}, {self._type!r})"

    def run(self, action: Callable[[], T]) -> T:
        """Return what `action` returns, tried again within bounds; inside another `run`, only once.

        Raises
        ------
        NotFound
            The Hub knows no such repository, revision or file.
        StaleParent
            The Hub refused a commit because its parent is not the head.
        RepositoryError
            Anything else, in one sentence.
        """
        return action() if _ours.get() else self._retries.run(lambda: self._once(action))

    def refs(self) -> tuple[str | None, dict[str, str]]:
        """Return the tip of the branch, None if there is no repository, and the tags."""
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            refs, _ = self._page(self._api_url("refs"))
        except RepositoryNotFoundError as error:
            if error.response.status_code != 404:  # a refused token is not an absent repository
                raise
            return None, {}
        tip = next((ref["targetCommit"] for ref in refs["branches"] if ref["name"] == BRANCH), None)
        return tip, {ref["name"]: ref["targetCommit"] for ref in refs["tags"]}

    def sha(self, revision: str) -> str:
        """Return the full sha of a revision; NotFound if there is none."""
        return str(self._page(self._api_url(f"revision/{quote(revision, safe='')}"))[0]["sha"])

    def commits(self, revision: str) -> Iterator[Any]:
        """Yield the commits up to a revision from the newest, page by page."""
        return self._pages(self._api_url(f"commits/{revision}"))

    def tree(self, sha: str) -> Iterator[Any]:
        """Yield every entry of a revision."""
        return self._pages(self._api_url(f"tree/{sha}?recursive=true&expand=false"))

    def download(self, sha: str, file: RemoteFile, stream: IO[bytes]) -> None:
        """Write the bytes of a file to `stream`, from its start."""
        from huggingface_hub.utils import hf_raise_for_status

        prefix = "" if self._type == "model" else f"{self._type}s/"
        url = "/".join((self._api.endpoint, f"{prefix}{self._id}", "resolve", sha, quote(file.path)))
        stream.seek(0)
        stream.truncate()
        with _session().stream("GET", url, headers=self._headers()) as answer:
            hf_raise_for_status(answer)
            for chunk in answer.iter_bytes():
                stream.write(chunk)

    def create(self, private: bool) -> None:
        """Create the repository unless it is there."""
        sdk = "gradio" if self._type == "space" else None
        self._api.create_repo(self._id, repo_type=self._type, private=private, space_sdk=sdk, exist_ok=True)

    def is_private(self) -> bool | None:
        """Return whether only some may read it; None if there is no repository that the token may see."""
        found = self.run(self._described)
        return None if found is None else bool(found.get("private"))

    def hide(self) -> None:
        """Make the repository private."""
        self.run(lambda: self._api.update_repo_settings(self._id, repo_type=self._type, private=True))

    def _described(self) -> dict[str, Any] | None:
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            found, _ = self._page(f"{self._api.endpoint}/api/{self._type}s/{self._id}")
        except RepositoryNotFoundError as error:
            if error.response.status_code != 404:  # a refused token is not an absent repository
                raise
            return None
        return dict(found)

    def tag(self, name: str, sha: str) -> None:
        """Set a new tag."""
        self._api.create_tag(self._id, tag=name, revision=sha, repo_type=self._type)

    def commit(self, prepared: "Prepared", title: str, description: str, parent: str) -> str:
        """Send large files that the Hub does not have, then one commit; return its sha.

        `prepared` remembers what was sent: another attempt with it sends no large file again.
        """
        with self._named():
            return self._send_commit(prepared, title, description, parent)

    def _send_commit(self, prepared: "Prepared", title: str, description: str, parent: str) -> str:
        additions = prepared.additions
        # Asked with an empty .gitignore: one in the repository must never drop a file from a commit.
        self._api.preupload_lfs_files(
            self._id, additions, repo_type=self._type, free_memory=False, gitignore_content=""
        )
        if any(getattr(addition, "_should_ignore", False) for addition in additions):
            raise RepositoryError("The Hub would leave out a file of this commit.", code="ignored")
        done = self._api.create_commit(
            self._id,
            [*prepared.deletions, *additions],  # a file may make way for a folder of the same name
            commit_message=title,
            commit_description=description,
            repo_type=self._type,
            parent_commit=parent,
        )
        sent = prepared.deletions or any(getattr(addition, "_is_committed", True) for addition in additions)
        if not sent:
            # The client leaves out what the *head* holds already, and then sends nothing and checks nothing.
            # These operations change the parent, so the head is another.
            raise stale_parent()
        return str(done.oid)

    @functools.cached_property
    def _api(self) -> "HfApi":
        from huggingface_hub import HfApi

        _session()
        return HfApi(endpoint=self._endpoint, token=self._token or False, library_name="fraud")

    def _headers(self) -> dict[str, str]:
        from huggingface_hub.utils import build_hf_headers

        return dict(build_hf_headers(token=self._token or False, library_name="fraud"))

    def _api_url(self, path: str) -> str:
        return f"{self._api.endpoint}/api/{self._type}s/{self._id}/{path}"

    def _page(self, url: str) -> tuple[Any, str | None]:
        from huggingface_hub.utils import hf_raise_for_status

        answer = _session().get(url, headers=self._headers())
        hf_raise_for_status(answer)
        return answer.json(), answer.links.get("next", {}).get("url")

    def _pages(self, url: str | None) -> Iterator[Any]:
        while url is not None:
            items, url = self.run(functools.partial(self._page, url))
            yield from items

    def _once(self, action: Callable[[], T]) -> T:
        ours = _ours.set(True)
        try:
            with self._named():
                return action()
        finally:
            _ours.reset(ours)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Turn every failure of the client library into a FraudError, or Transient where it may pass."""
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError

        try:
            yield
        except (FraudError, Transient):
            raise
        except HfHubHTTPError as error:
            raise self._refused(error) from None
        except httpx2.HTTPError as error:
            raise _dropped(error) from None
        except RuntimeError as error:  # what the client library makes of a failed upload of a large file
            cause = error.__cause__
            if isinstance(cause, Transient):
                raise cause from None
            if isinstance(cause, HfHubHTTPError):
                raise self._refused(cause) from None
            if isinstance(cause, httpx2.HTTPError):
                raise _dropped(cause) from None
            raise self._unexpected(error) from None
        except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
            raise self._unexpected(error) from None

    def _refused(self, error: "HfHubHTTPError") -> Exception:
        status, code = error.response.status_code, error.response.headers.get("X-Error-Code", "")
        if _may_pass(status):
            return _busy(error.response)
        if status == 412:
            return stale_parent()
        if status in (401, 403):
            return RepositoryError(
                f"The Hub refuses access to {self._id} (status {status}); check the token and its rights.",
                code="refused",
            )
        if status == 404 or code in ("RepoNotFound", "RevisionNotFound", "EntryNotFound"):
            return NotFound(f"The Hub does not have what was asked of {self._id}.", code="not_found")
        words = " ".join((error.response.headers.get("X-Error-Message") or "no reason given").split())
        return RepositoryError(f"The Hub refused with status {status}: {words[:200]}.", code="refused")

    def _unexpected(self, error: Exception) -> RepositoryError:
        words = " ".join(str(error).split()) or type(error).__name__
        return RepositoryError(f"The Hub repository {self._id} cannot be used: {words[:300]}", code="hub")


class Prepared:
    """The operations of one commit in the client library's form."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        self.deletions: list[CommitOperationDelete] = []
        self.additions: list[CommitOperationAdd] = []
        for operation in operations:
            try:
                if isinstance(operation, Add):
                    content = operation.content
                    source = str(content.absolute()) if isinstance(content, Path) else content
                    self.additions.append(CommitOperationAdd(operation.path, source))
                else:
                    self.deletions.append(CommitOperationDelete(operation.path, is_folder=False))
            except (ValueError, OSError) as error:
                raise RepositoryError(
                    f"{operation.path!r} cannot be committed: {error}", code="unusable", field="path"
                ) from error


def stale_parent() -> StaleParent:
    """Return the error for a commit on something that is not the head."""
    return StaleParent(
        "The named parent is not the head; read the head again and retry.",
        code="stale_parent",
        field="parent",
    )


def _may_pass(status: int) -> bool:
    return status in (408, 429) or status >= 500


def _busy(answer: "httpx2.Response") -> Transient:
    status = answer.status_code
    # A gateway's 502 or 504 says nothing of what happened behind it; a 429 was turned away at the door.
    return Transient(f"status {status}", retry_after_s(answer.headers), maybe_done=status != 429)


def _dropped(error: "httpx2.HTTPError") -> Transient:
    import httpx2

    never_sent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
    words = " ".join(str(error).split()).rstrip(".") or "no answer in time"
    return Transient(words[:200], maybe_done=not never_sent)


def _session() -> "httpx2.Client":
    from huggingface_hub import get_session

    _install_client()
    return get_session()


@functools.cache
def _install_client() -> None:
    """Give the client library a connection that has timeouts, once a process.

    Its own has none, so that a silent peer would stop a drain for ever. And where a request is ours, it fails
    at once: the library would otherwise try again by itself, for as long as a Retry-After says.
    """
    import httpx2
    from huggingface_hub import constants, get_session, set_client_factory
    from huggingface_hub.utils import disable_progress_bars

    limits = httpx2.Timeout(_ANSWER_S, connect=_CONNECT_S)

    class BoundedClient(httpx2.Client):
        def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            if all(limit is None for limit in request.extensions.get("timeout", {}).values()):
                request.extensions["timeout"] = limits.as_dict()
            if not _ours.get():
                return super().send(request, **options)
            try:
                answer = super().send(request, **options)
            except httpx2.HTTPError as error:
                raise _dropped(error) from None
            if _may_pass(answer.status_code):
                answer.close()
                raise _busy(answer)
            return answer

    hooks = get_session().event_hooks
    set_client_factory(lambda: BoundedClient(event_hooks=hooks, follow_redirects=True, timeout=limits))
    # Its second transfer protocol has a network stack of its own, without these bounds.
    constants.HF_HUB_DISABLE_XET = True
    disable_progress_bars()
    # A released model brings its card histories as Parquet: meant, and nothing to warn of.
    warnings.filterwarnings("ignore", "It seems that you are about to commit a data file", UserWarning)
