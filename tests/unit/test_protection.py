"""What stands before the routes: keys, limits, origins and headers."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient

from fraud.api import body_limit, build_api
from fraud.errors import SettingsError
from fraud.service import FraudService
from fraud.settings_api import ApiSettings, read_api_settings
from tests.unit.test_api import no_background

KEY = "k" * 43
DIGEST = hashlib.sha256(KEY.encode()).hexdigest()


@contextmanager
def serving(service: FraudService, **settings: object) -> Iterator[TestClient]:
    app = build_api(service, no_background, lambda: True, protection=ApiSettings(**settings))
    with TestClient(app) as client:
        yield client


def test_without_keys_nobody_is_asked_for_one(service: FraudService) -> None:
    with serving(service) as client:
        assert client.get("/v1/version").status_code == 200


@pytest.mark.parametrize(
    "sent", [None, "Bearer", "Bearer wrong", f"Basic {KEY}", f"Bearer {DIGEST}", f"Bearer {KEY}x"]
)
def test_a_missing_or_wrong_key_is_a_401(service: FraudService, sent: str | None) -> None:
    with serving(service, key_digests=(DIGEST,)) as client:
        answer = client.get("/v1/version", headers={"Authorization": sent} if sent else {})
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"
        assert client.get("/healthz").status_code == 200


def test_two_keys_at_once_are_none(service: FraudService) -> None:
    with serving(service, key_digests=(DIGEST,)) as client:
        sent = [("Authorization", f"Bearer {KEY}"), ("Authorization", "Bearer other")]
        assert client.get("/v1/version", headers=sent).status_code == 401


def test_a_known_key_opens_and_is_never_written_down(
    service: FraudService, caplog: pytest.LogCaptureFixture
) -> None:
    other = hashlib.sha256(b"o" * 43).hexdigest()
    with caplog.at_level(logging.DEBUG), serving(service, key_digests=(other, DIGEST)) as client:
        assert client.get("/v1/version", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
        assert client.get("/v1/version", headers={"Authorization": f"Bearer {KEY}no"}).status_code == 401
        metrics = client.get("/metrics").text
    assert KEY not in caplog.text and DIGEST not in caplog.text and KEY not in metrics
    assert KEY not in repr(ApiSettings(node_key=KEY)) and DIGEST not in repr(
        ApiSettings(key_digests=(DIGEST,))
    )


def test_one_request_too_many_is_told_when_to_come_again(service: FraudService) -> None:
    with serving(service, request_limit="2/minute") as client:
        assert [client.get("/v1/version").status_code for _ in range(3)] == [200, 200, 429]
        assert 1 <= int(client.get("/v1/version").headers["retry-after"]) <= 60
        assert client.get("/healthz").status_code == 200


def test_other_origins_are_shut_out_unless_they_are_named(service: FraudService) -> None:
    origin = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    with serving(service) as client:
        assert "access-control-allow-origin" not in client.options("/v1/score", headers=origin).headers
    with serving(service, cors_origins=("https://shop.example",), key_digests=(DIGEST,)) as client:
        allowed = client.options("/v1/score", headers=origin)
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        stranger = client.options("/v1/score", headers=origin | {"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers


def test_every_answer_carries_the_security_headers(service: FraudService) -> None:
    with serving(service) as client:
        for answer in (client.get("/healthz"), client.get("/nothing"), client.post("/v1/score", content=b"")):
            assert answer.headers["x-content-type-options"] == "nosniff"
            policy = answer.headers["content-security-policy"]
            assert (
                "frame-ancestors 'self'" in policy and "object-src 'none'" in policy and "http" not in policy
            )
            assert answer.headers["x-frame-options"] == "SAMEORIGIN"


def test_a_space_may_be_framed_by_the_hub_only() -> None:
    assert read_api_settings({"SPACE_ID": "a/b"}).framed_by == (
        "https://huggingface.co",
        "https://*.hf.space",
    )
    assert read_api_settings({}) == ApiSettings()


def test_a_full_lane_answers_429_at_once(service: FraudService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit.Lane, "max_at_once", 0, raising=False)
    app = build_api(service, no_background, lambda: True)
    for middleware in app.user_middleware:
        for lane in middleware.kwargs.get("lanes", {}).values():
            lane.max_at_once = 0
    with TestClient(app) as client:
        answer = client.post("/v1/score", json={"transaction": {}})
        assert answer.status_code == 429 and answer.headers["retry-after"] == "1"
        assert client.get("/healthz").status_code == 200


def test_what_all_bodies_hold_is_bounded_and_given_back(
    service: FraudService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_limit, "MAX_HELD_BYTES", 1_000)
    with serving(service) as client:
        for _ in range(3):  # were it not given back, the second would be refused for the first
            assert client.post("/v1/score", content=b"x" * 900).status_code == 415
        assert client.post("/v1/score", content=b"x" * 1_001).status_code == 429


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_a_form_elsewhere_could_send_is_not_read(service: FraudService, kind: str | None) -> None:
    with serving(service) as client:
        answer = client.post("/v1/score", content=b"{}", headers={"content-type": kind} if kind else {})
        assert answer.status_code == 415


@pytest.mark.parametrize(
    "env",
    [
        {"FRAUD_API_KEYS": KEY},
        {"FRAUD_API_KEYS": DIGEST.upper()},
        {"FRAUD_NODE_KEY": "short"},
        {"FRAUD_CORS_ORIGINS": "*"},
        {"FRAUD_CORS_ORIGINS": "https://shop.example/"},
        {"FRAUD_CORS_ORIGINS": "shop.example"},
        {"FRAUD_CORS_ORIGINS": "https://user@shop.example"},
    ],
)
def test_a_setting_that_would_not_protect_is_refused_by_name(env: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        read_api_settings(env)
    assert caught.value.field == next(iter(env))


def test_explanations_have_a_route_of_their_own(service: FraudService) -> None:
    with serving(service) as client:
        example = client.get("/v1/examples").json()[0]["transaction"]
        answer = client.post("/v1/explain", json={"transaction": example}).json()
        for name, explanation in answer["explanations"].items():
            raw = explanation["expected"] + sum(r["contribution"] for r in explanation["reasons"])
            forest = service._scorer.bundle.models[name].forest
            assert raw == pytest.approx(float(forest.raw(service._scorer.features(example))[0]), abs=1e-6)
        assert client.post("/v1/explain", json={"transaction": example, "keep": True}).status_code == 422
