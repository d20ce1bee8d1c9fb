"""Where an answer is, step by step: pure markup, in a language."""

import html

from fraud.tracing import Unused, Whereabouts
from fraud.ui.texts import TEXTS, text


def receipt_html(found: Whereabouts, language: str) -> str:
    """Return where an answer is: on disk, in the dataset, reviewed, in a version or why it is not."""
    receipt = found.receipt
    saved = text("saved", language, receipt=f"<code>{html.escape(receipt.receipt_id)}</code>")
    if receipt.withdrawn:
        steps = [_step(text("trace_withdrawn", language))]
    elif receipt.revision is None:
        steps = [_step(text("saved_waiting", language))]
    else:
        short = f'<code title="{html.escape(receipt.revision)}">{html.escape(receipt.revision[:12])}</code>'
        steps = [_step(text("saved_committed", language, revision=short), done=True)]
        if found.reviewed is not None:
            steps.append(_step(text(f"reviewed_{found.reviewed.value}", language), done=True))
        if found.used_in is not None:
            version = html.escape(found.used_in)
            steps.append(_step(text("used_in", language, version=version), done=True))
        elif found.unused is not None:
            steps.append(_step(_unused(found.unused, language)))
    return f'<div class="receipt" role="status"><p><b>{saved}</b></p>{"".join(steps)}</div>'


def _unused(unused: Unused, language: str) -> str:
    key = f"unused_{unused.code}"
    why = text(key, language) if key in TEXTS else html.escape(unused.words)
    if unused.version is None:
        return text("unused", language, why=why)
    return text("unused_in", language, why=why, version=html.escape(unused.version))


def _step(words: str, *, done: bool = False) -> str:
    return f'<p class="{"committed" if done else "quiet"}">{words}</p>'
