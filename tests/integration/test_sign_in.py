"""Signing in to review, through the real app.py and an OpenID provider: who is listed decides, others not."""

import base64
import hashlib
import hmac
import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import itsdangerous
import pytest

from fraud.feedback.dataset import read_events
from fraud.feedback.events import ReviewEvent
from fraud.repositories.local import LocalRepository
from tests.demo import Demo, free_port, wait_for
from tests.openid import CLIENT_ID, CLIENT_SECRET, Provider, claims_of, running_provider

KEY = "a pseudonym key"
REFUSED = "Log in first; decisions are only taken from maintainers."


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("space")


@pytest.fixture(scope="module")
def space(provider: Provider, directory: Path, small_bundle: Path) -> Iterator[Demo]:
    demo = Demo(
        os.environ
        | {
            "SYSTEM": "spaces",
            "SPACE_ID": "org/demo",
            "OAUTH_CLIENT_ID": CLIENT_ID,
            "OAUTH_CLIENT_SECRET": CLIENT_SECRET,
            "OAUTH_SCOPES": "openid profile",
            "OPENID_PROVIDER_URL": provider.url,
            "FRAUD_REVIEWERS": "ana, the-team",
            "FRAUD_HOST": "127.0.0.1",
            "FRAUD_PORT": str(free_port()),
            "FRAUD_ARTIFACTS_DIR": str(small_bundle),
            "FRAUD_REGISTRY_DIR": str(directory / "registry"),
            "FRAUD_FEEDBACK_DIR": str(directory / "feedback"),
            "FRAUD_COMMIT_SECONDS": "0.2",
            "FRAUD_PSEUDONYM_KEY": KEY,
        },
        directory / "demo.log",
    )
    yield demo
    demo.stop()
    log = (directory / "demo.log").read_text()
    assert "Traceback" not in log, log


class Visitor:
    """A browser reduced to its cookie and to the calls that the page makes."""

    def __init__(self, space: Demo) -> None:
        self._url = space.url
        self.session = ""

    def sign_in(self) -> str:
        """Follow the button to the provider and back; return where it ends."""
        at = f"{self._url}/login/huggingface?_target_url=%2F%3Ftab%3Dreview"
        for _ in range(3):
            headers = {"Cookie": f"session={self.session}"} if at.startswith(self._url) else {}
            answer = httpx.get(at, headers=headers, timeout=60)
            assert answer.is_redirect, answer.text
            for cookie in answer.headers.get_list("set-cookie"):
                name, _, rest = cookie.partition("=")
                if name == "session":
                    assert "secure" in cookie.lower() and "httponly" in cookie.lower()
                    self.session = rest.partition(";")[0]
            at = answer.headers["location"]
        return at

    def call(self, element: str, inputs: list[Any]) -> str:
        """Call the endpoint behind a button directly and return all that it answers."""
        config = httpx.get(f"{self._url}/config", timeout=60).json()
        button = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == element)
        number = next(d["id"] for d in config["dependencies"] if [button, "click"] in d["targets"])
        return self._run(number, inputs)

    def open_page(self) -> str:
        config = httpx.get(f"{self._url}/config", timeout=60).json()
        number = next(
            d["id"]
            for d in config["dependencies"]
            if any(event == "load" for _, event in d["targets"]) and len(d["outputs"]) > 8
        )
        return self._run(number, ["en"])

    def _run(self, number: int, inputs: list[Any]) -> str:
        session = uuid.uuid4().hex
        headers = {"Cookie": f"session={self.session}"}
        body = {"fn_index": number, "data": inputs, "session_hash": session}
        httpx.post(
            f"{self._url}/gradio_api/queue/join?tab=review", json=body, headers=headers, timeout=60
        ).raise_for_status()
        data = f"{self._url}/gradio_api/queue/data?session_hash={session}"
        with httpx.stream("GET", data, headers=headers, timeout=60) as lines:
            for line in lines.iter_lines():
                if line.startswith("data:") and "process_completed" in line:
                    return json.dumps(json.loads(line[5:]), ensure_ascii=False)
        raise AssertionError("no answer")


def flag(space: Demo, number: int = 0) -> str:
    example = httpx.get(f"{space.url}/v1/examples", timeout=60).json()[number]["transaction"]
    scored = space.post("/v1/score", {"transaction": example})
    alerts = {score["decision"] != "approve" for score in scored["scores"].values()}
    answer = {
        "prediction_id": scored["prediction_id"],
        "verdict": "right" if True in alerts else "wrong",
        "label": "fraud",
        "consent": True,
    }
    return str(space.post("/v1/flags", answer)["receipt_id"])


def reviews(directory: Path) -> list[ReviewEvent]:
    repository = LocalRepository(directory / "feedback" / "dataset.git")
    head = repository.head()
    events = [] if head is None else read_events(repository, head)[0]
    return [event for event in events if isinstance(event, ReviewEvent)]


def reviewed(space: Demo, flag_id: str) -> str | None:
    return space.get(f"/v1/flags/{flag_id}")["reviewed"]


def forged(name: str, secret: str) -> str:
    """Return a session cookie for a name, signed as Gradio signs with a client secret."""
    info = {"oauth_info": {"userinfo": claims_of(name), "expires_at": int(time.time()) + 3600}}
    signer = itsdangerous.TimestampSigner(hashlib.sha256(f"{secret}-v4".encode()).hexdigest())
    return signer.sign(base64.b64encode(json.dumps(info).encode())).decode()


def test_a_listed_reviewer_signs_in_and_decides(space: Demo, provider: Provider, directory: Path) -> None:
    flag_id = flag(space)
    ana = Visitor(space)
    provider.who = claims_of("ana")
    assert ana.sign_in() == "/?tab=review"
    page = ana.open_page()
    assert flag_id in page
    assert "Accepted: 1" in ana.call("review-accept", ["en", None, flag_id, "called the bank"])
    wait_for(lambda: reviewed(space, flag_id) == "accept")
    (event,) = [e for e in reviews(directory) if e.review.flag_id == flag_id]
    expected = hmac.new(KEY.encode(), b"huggingface:ana", hashlib.sha256).hexdigest()[:24]
    assert event.review.reviewer == expected


def test_a_member_of_a_listed_organisation_is_let_in(space: Demo, provider: Provider) -> None:
    flag_id = flag(space, 1)
    bo = Visitor(space)
    provider.who = claims_of("bo", orgs=[{"sub": "o", "name": "Team", "preferred_username": "the-team"}])
    bo.sign_in()
    assert "Rejected: 1" in bo.call("review-reject", ["en", None, flag_id, ""])


def test_who_is_not_listed_is_told_so_and_decides_nothing(space: Demo, provider: Provider) -> None:
    flag_id = flag(space, 2)
    mallory = Visitor(space)
    provider.who = claims_of("mallory", orgs=[{"name": "ana", "preferred_username": "other"}])
    mallory.sign_in()
    said = "You are signed in as @mallory, who is not among the reviewers of this demo"
    page = mallory.open_page()
    assert said in page and flag_id not in page
    for element, chosen in (("review-accept", flag_id), ("review-bulk-accept", [])):
        assert said in mallory.call(element, ["en", None, chosen, ""])
    assert "não está entre os revisores" in mallory.call("review-accept", ["pt-BR", None, flag_id, ""])
    time.sleep(0.5)
    assert space.get("/readyz")["backlog"] == 0 and reviewed(space, flag_id) is None


@pytest.mark.parametrize("element", ["review-accept", "review-bulk-accept"])
@pytest.mark.parametrize(
    "cookie",
    ["", "nonsense", forged("ana", ""), forged("ana", "another secret"), forged("ana", CLIENT_SECRET)[:-1]],
    ids=["none", "nonsense", "public constant", "another secret", "cut"],
)
def test_an_endpoint_called_without_a_true_session_refuses(space: Demo, cookie: str, element: str) -> None:
    stranger = Visitor(space)
    stranger.session = cookie
    flag_id = flag(space)
    chosen: Any = [] if "bulk" in element else flag_id
    for token in (None, "forged"):
        assert REFUSED in stranger.call(element, ["en", token, chosen, ""])
    assert flag_id not in stranger.open_page()
    assert reviewed(space, flag_id) is None


def test_the_forgery_of_these_tests_would_open_with_the_true_secret(space: Demo) -> None:
    """Else the refusals above would prove nothing."""
    ana = Visitor(space)
    ana.session = forged("ana", CLIENT_SECRET)
    assert "review-case" not in REFUSED and REFUSED not in ana.call("review-accept", ["en", None, "f_0", ""])
