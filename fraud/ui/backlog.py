"""What the page says of answers that wait: nothing, as long as they join the dataset as they should."""

from fraud.errors import FraudError
from fraud.formats import number
from fraud.service import FraudService
from fraud.ui.texts import text

NEAR = 0.8
"""The share of the limit from which the page says how many answers wait."""


def backlog_html(service: FraudService, language: str) -> str:
    """Return one sentence if no more answers are taken, nearly none, or none are committed; "" otherwise."""
    try:
        state = service.backlog_state()
    except FraudError:
        return ""  # nothing is known to say, and sending an answer will say what is wrong
    if state.full:
        key = "backlog_full"
    elif state.waiting >= NEAR * state.limit:
        key = "backlog_near"
    elif service.commit_problem is not None and state.waiting:
        key = "backlog_slow"
    else:
        return ""
    words = text(key, language, n=number(state.waiting, language, 0), limit=number(state.limit, language, 0))
    weight = "noted" if state.full else "quiet"
    return f'<p class="{weight}" role="status">{words}</p>'
