"""Figures of a prediction node, read at each scrape; names as in fraud/metrics.py."""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from fraud.serving.node import PredictionNode


class NodeState(Collector):
    """Reads a node: what serves, how often that changed, and what it was told."""

    def __init__(self, node: PredictionNode, is_alive: Callable[[], bool]) -> None:
        self._node = node
        self._is_alive = is_alive

    def describe(self) -> list[GaugeMetricFamily]:
        """Return nothing: registering must not load a model."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Yield the state as it is now."""
        node, report = self._node, self._node.report()
        yield _gauge("fraud_model_failing", "1 while a promotion cannot be served.", node.model_problem)
        yield _gauge("fraud_background_alive", "1 while promotions are followed.", self._is_alive())
        yield _gauge("fraud_node_on_trial", "1 while a new version is watched.", node.on_trial)
        rolled_back = report.state == "rolled_back"
        yield _gauge("fraud_node_rolled_back", "1 while the node turns the champion away.", rolled_back)
        yield GaugeMetricFamily(
            "fraud_node_registry_sequence", "The newest change of the aliases followed.", report.sequence
        )
        yield CounterMetricFamily("fraud_node_swaps", "Versions swapped in.", node.updates.swaps)
        yield CounterMetricFamily("fraud_node_rollbacks", "Versions given up.", node.updates.rollbacks)
        notices = CounterMetricFamily("fraud_node_notices", "Verified notices.", labels=("reception",))
        for reception, count in sorted(node.notices.items()):
            notices.add_metric((reception,), count)
        yield notices
        info = GaugeMetricFamily("fraud_model_info", "What serves.", labels=("version", "revision"))
        info.add_metric((report.served.version, report.served.revision or "shipped"), 1)
        yield info


def _gauge(name: str, words: str, value: object) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, 1.0 if value else 0.0)
