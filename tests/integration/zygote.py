"""Runs commands of the product in processes that SIGKILL themselves at a named point. Only tests start this.

    python -m tests.integration.zygote

reads one JSON line per command, {"arguments": [...], "environment": {...}, "point": NAME or null, "memory":
FILE}, forks, and answers {"returncode": N, "output": TEXT}. A child imports nothing, so a kill is cheap; the
parent never computes, so that no thread is lost in a fork. The product knows nothing of points: each is a
function of it that is replaced in the child. The base table and what was trained are kept in files for the
next child: the inputs are the same, so the models are.
"""

import copyreg
import importlib
import json
import os
import pickle
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

POINTS: dict[str, tuple[str, str, int]] = {
    # name: (module and attribute, "before" or "after" the call, of how many calls)
    "read": ("fraud.retraining.request.read_events", "after", 1),
    "begin": ("fraud.retraining.runs._written", "before", 1),
    "decided": ("fraud.retraining.runs._written", "after", 1),
    "table read": ("fraud.retraining.steps.split", "before", 1),
    "fit the second model": ("fraud.models.train.fit_model", "before", 2),
    "trained, nothing written": ("fraud.retraining.steps.write_bundle", "before", 1),
    "files of the challenger": ("fraud.models.bundle.seal", "before", 1),
    "sealed beside its place": ("fraud.models.bundle_writer._move_into_place", "before", 1),
    "half moved into place": ("pathlib.Path.rename", "after", 2),
    "in its place": ("fraud.retraining.runs._written", "before", 1),
    "trained": ("fraud.retraining.runs._written", "after", 1),
    "use counted": ("fraud.retraining.steps.write_gold", "after", 1),
    "judged": ("fraud.retraining.steps.judge", "after", 1),
    "report": ("fraud.retraining.steps.write_report", "after", 1),
    "gated": ("fraud.retraining.runs._written", "after", 1),
    "card written, not sealed": ("fraud.retraining.finishing.changelog", "after", 1),
    "sealed": ("fraud.retraining.steps.finish_bundle", "after", 1),
    "signed": ("fraud.models.signing.SigningKey.sign", "after", 1),
    "blobs": ("fraud.repositories.local.LocalRepository._write_tree", "after", 1),
    "branch not moved": ("fraud.repositories.local.LocalRepository._move_branch", "before", 1),
    "branch moved": ("fraud.repositories.local.LocalRepository._move_branch", "after", 1),
    "tagged": ("fraud.repositories.local.LocalRepository.tag", "after", 1),
    "challenger": ("fraud.registry.ModelRegistry.set_challenger", "after", 1),
    "recorded": ("fraud.retraining.runs._written", "after", 1),
    "alias not committed": ("fraud.repositories.local.LocalRepository._move_branch", "before", 1),
    "alias moved": ("fraud.registry.ModelRegistry.promote", "after", 1),
    "message not committed": ("fraud.webhooks.deliveries.write_body", "after", 1),
    "message left": ("fraud.webhooks.deliveries.WebhookOutbox.enqueue", "after", 1),
    "nodes asked": ("fraud.releasing.ReleaseDesk._tell", "after", 1),
    "promoted": ("fraud.retraining.runs._written", "after", 1),
    "over, not tidied": ("fraud.retraining.runs._written", "after", 2),
    "refused, not tidied": ("fraud.retraining.runs._written", "after", 1),
    "pruned": ("fraud.retraining.job.prune", "after", 1),
    "rollback on its way": ("fraud.releasing.ReleaseDesk._remember_rollback", "after", 1),
    "rolled back": ("fraud.registry.ModelRegistry.rollback", "after", 1),
    "journal not removed": ("fraud.releasing.ReleaseDesk._forget_rollback", "before", 1),
}

IMPORTED = (
    *(f"fraud.retraining.{name}" for name in ("steps", "job", "finishing", "gate_report", "request")),
    "fraud.cli",
    "fraud.wiring",
    "fraud.models.bundle_writer",
    "fraud.models.figures.drawing",
    "fraud.models.figures.release",
    "fraud.data.sources",
    # What the product puts off until it is used: compiled loops, keys, the libraries that train and draw.
    "fraud.models.kernels",
    "fraud.models.many_rows",
    "fraud.models.shapley",
    "fraud.models.acceleration",
    "fraud.monitoring",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "matplotlib.backends.backend_agg",
    "matplotlib.pyplot",
    "PIL.PngImagePlugin",
    "pyarrow.dataset",
    "sklearn.ensemble",
    "xgboost",
)
"""What every child would import anew: more than a second each."""


def die() -> None:
    """End as the kernel ends a process: no handler, no buffer, no lock is let go of."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str) -> None:
    """Replace the function of a point by one that dies before or after it did its work."""
    path, when, at_call = POINTS[point]
    owner, name = _owner(path)
    original = getattr(owner, name)
    calls = [0]

    def dying(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if when == "before" and calls[0] == at_call:
            die()
        result = original(*arguments, **options)
        if when == "after" and calls[0] == at_call:
            die()
        return result

    setattr(owner, name, dying)


def _owner(path: str) -> tuple[Any, str]:
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            owner: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:-1]:
            owner = getattr(owner, part)
        return owner, parts[-1]
    raise ValueError(path)


def spare(memory: Path) -> None:
    """Read the base table, train and draw once for all children; compare fewer rows of the packed models."""
    from fraud.data import sources
    from fraud.models import bundle_writer
    from fraud.retraining import steps

    # A packed forest holds the module with its kernels.
    copyreg.pickle(ModuleType, lambda module: (importlib.import_module, (module.__name__,)))
    sources.load_transactions = _remembered(sources.load_transactions, memory.with_name("table"))
    steps.train = _remembered(steps.train, memory)
    steps.write_bundle = partial(steps.write_bundle, parity_rows=5_000)
    bundle_writer.write_figures = _drawn_once(bundle_writer.write_figures, memory.with_name("figures"))


def _remembered(compute: Callable[..., Any], memory: Path) -> Callable[..., Any]:
    def remembered(*arguments: Any, **options: Any) -> Any:
        if memory.is_file():
            return pickle.loads(memory.read_bytes())  # noqa: S301 (written below, in this test)
        result = compute(*arguments, **options)
        partial_file = memory.with_suffix(".partial")
        partial_file.write_bytes(pickle.dumps(result))
        partial_file.replace(memory)
        return result

    return remembered


def _drawn_once(draw: Callable[..., Any], memory: Path) -> Callable[..., Any]:
    def drawn(held_out: Any, directory: Path) -> Any:
        kept = _remembered(lambda: _figures(draw, held_out), memory)()
        for name, content in kept.items():
            (directory / name).write_bytes(content)
        return tuple(kept)

    return drawn


def _figures(draw: Callable[..., Any], held_out: Any) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as directory:
        return {name: (Path(directory) / name).read_bytes() for name in draw(held_out, Path(directory))}


def run(order: dict[str, Any]) -> int:
    """Fork, do one order in the child, and return its code, negative for the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.environ.update(order["environment"])
            spare(Path(order["memory"]))
            if order["point"] is not None:
                arm(order["point"])
            from fraud.cli import main

            code = main(order["arguments"])
        except BaseException:  # whatever it is, the parent's code must not run on in the child
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def serve() -> None:
    """Answer orders until the input ends."""
    for module in IMPORTED:
        importlib.import_module(module)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        with tempfile.TemporaryFile() as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            code = run(json.loads(line))
            said.seek(0)
            answer = {"returncode": code, "output": said.read().decode("utf-8", "replace")}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
