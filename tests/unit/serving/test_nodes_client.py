"""Scoring through nodes: in turn, once more where one fails, never twice at once, one version per answer."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient

from fraud.api.node import build_node_api
from fraud.errors import NodesUnavailable, NotFound, TransactionError
from fraud.metrics import Metrics
from fraud.serving.champion import Champion
from fraud.serving.nodes_client import NodePool, ThroughNodes
from fraud.serving.predicting import InProcess
from tests.unit.conftest import NOW
from tests.unit.serving.conftest import Following, Releases, follow
from tests.unit.serving.test_node_api import nothing

Answering = Callable[[httpx2.Request], httpx2.Response]


class Network:
    """Hosts that answer as they are told to; counts who was asked for what."""

    def __init__(self, **hosts: Answering) -> None:
        self.hosts = hosts
        self.asked: Counter[tuple[str, str]] = Counter()
        self.client = httpx2.Client(transport=httpx2.MockTransport(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked[request.url.host, request.url.path] += 1
        return self.hosts[request.url.host](request)

    def pool(self) -> NodePool:
        return NodePool([f"http://{host}:1" for host in self.hosts], client=self.client)

    def scores(self, host: str) -> int:
        return self.asked[host, "/v1/score"]


def fine(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, json={})


def failing(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(503)


def away(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("nobody there", request=request)


def test_nodes_are_asked_in_turn_and_each_request_goes_to_one() -> None:
    network = Network(a=fine, b=fine)
    pool = network.pool()
    for _ in range(10):
        pool.post("/v1/score", {})
    assert (network.scores("a"), network.scores("b")) == (5, 5)


@pytest.mark.parametrize("broken", [failing, away])
def test_a_request_that_fails_goes_to_another_node_once_and_the_ill_one_is_spared(broken: Answering) -> None:
    network = Network(a=broken, b=fine)
    pool = network.pool()
    for _ in range(10):
        assert pool.post("/v1/score", {}).status_code == 200
    assert (network.scores("a"), network.scores("b")) == (1, 10) and pool.ill == {"http://a:1"}
    network.hosts["a"] = fine
    pool.check()
    assert not pool.ill
    pool.post("/v1/score", {}), pool.post("/v1/score", {})
    assert network.scores("a") == 2


def test_after_two_attempts_it_is_over() -> None:
    network = Network(a=failing, b=away, c=failing)
    with pytest.raises(NodesUnavailable, match="No prediction node answered"):
        network.pool().post("/v1/score", {})
    assert sum(network.asked.values()) == 2


def test_a_refused_transaction_is_not_sent_again() -> None:
    network = Network(a=lambda request: httpx2.Response(422), b=fine)
    assert network.pool().post("/v1/score", {}).status_code == 422
    assert network.scores("b") == 0


def test_a_node_that_is_not_ready_gets_nothing() -> None:
    network = Network(a=lambda r: failing(r) if r.url.path == "/readyz" else fine(r), b=fine)
    pool = network.pool()
    pool.check()
    for _ in range(4):
        pool.post("/v1/score", {})
    assert network.scores("a") == 0


@pytest.fixture
def through(following: Following, releases: Releases) -> Iterator[ThroughNodes]:
    """Ask a real node's application, in this process."""
    with TestClient(build_node_api(following.node, nothing, lambda: True, Metrics())) as node:

        def answer(request: httpx2.Request) -> httpx2.Response:
            answered = node.post(
                request.url.path, content=request.content, headers={"content-type": "application/json"}
            )
            return httpx2.Response(answered.status_code, content=answered.content)

        champion = Champion(releases.registry, releases.bundle)
        yield ThroughNodes(champion, Network(a=answer).pool())


def test_what_a_node_answers_is_what_this_process_would(through: ThroughNodes, following: Following) -> None:
    here = InProcess(following.champion)
    for example in following.node.examples():
        there = through.predict(example["transaction"], None, NOW)
        expected = here.predict(example["transaction"], None, NOW)
        assert there.scores == expected.scores and there.model_version == expected.model_version
        assert through.explain(there) == here.explain(expected)


def test_a_broken_field_is_said_in_this_processs_words(through: ThroughNodes) -> None:
    with pytest.raises(TransactionError) as refused:
        through.predict({}, None, NOW)
    assert refused.value.code == "missing"


def test_reasons_of_a_version_that_the_nodes_serve_no_more_are_not_made_up(
    through: ThroughNodes, following: Following, releases: Releases
) -> None:
    prediction = through.predict(following.node.examples()[0]["transaction"], None, NOW)
    releases.promote("1.0.2")
    following.updates.announce(None)
    following.updates.step()
    with pytest.raises(NotFound, match="score the transaction again"):
        through.explain(prediction)


def test_the_pool_is_not_asked_for_what_breaks_a_rule(releases: Releases, tmp_path: Path) -> None:
    network = Network(a=fine)
    champion = follow(releases.registry, releases.bundle, tmp_path / "n").champion
    with pytest.raises(TransactionError):
        ThroughNodes(champion, network.pool()).predict({"amount": "x"}, None, NOW)
    assert not network.asked
