"""A node's signed word to the trainer: what it serves and since when."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from fraud.ids import new_id
from fraud.serving.updating import NodeReport
from fraud.webhooks.client import WebhookClient
from fraud.webhooks.endpoints import Address
from fraud.webhooks.messages import write_body
from fraud.webhooks.signing import sign

_log = logging.getLogger(__name__)
ACKNOWLEDGEMENT = "node.serving"


class Acknowledger:
    """Sends reports; only the last one matters, so none is kept to be sent later.

    Parameters
    ----------
    client : sends the request
    address : where the trainer takes acknowledgements
    secrets : current, then previous
    clock : returns the present, aware, in UTC
    """

    def __init__(
        self,
        client: WebhookClient,
        address: Address,
        secrets: Sequence[str],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._address = address
        self._secrets = tuple(secrets)
        self._clock = clock
        self._failing = False

    def __call__(self, report: NodeReport) -> bool:
        """Say it once; return whether it arrived."""
        now = self._clock()
        body = write_body(ACKNOWLEDGEMENT, now, report_data(report))
        headers = sign(new_id("msg"), now, body, self._secrets)
        answer = self._client.post(self._address, headers, body)
        if not answer.delivered and not self._failing:
            _log.warning("acknowledgements do not arrive: %s %s", answer.status or "", answer.problem)
        self._failing = not answer.delivered
        return answer.delivered


def report_data(report: NodeReport) -> dict[str, object]:
    """Return a report as the payload of an acknowledgement."""
    return {
        "node": report.node,
        "version": report.served.version,
        "revision": report.served.revision,
        "manifest_digest": report.served.manifest_digest,
        "since": report.since.isoformat(),
        "registry_sequence": report.sequence,
        "state": report.state,
        "reason": report.reason[:300],
    }
