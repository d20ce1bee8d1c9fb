"""A new operator types every command of every document, in an order that makes sense, in a home of their own.

What a command leaves open (a receipt, a file, a name on the Hub) stands for what the story has made before.
What is not typed here is named in `ELSEWHERE`, with the test that runs it or the reason why none does.
"""

import ast
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fraud.retraining import steps
from tests import documented_chapters as chapters
from tests.demo import ROOT
from tests.documents import documented
from tests.hub.server import WRITE_TOKEN, LoopbackHub
from tests.operators_home import Operator
from tests.unit.webhooks.conftest import SECRET, answer, listening

SUITE, REGISTRY = "it is the suite that this test is part of", "it asks package registries"
CPU, DAEMON = "minutes of CPU", "it needs a Docker daemon"
CLUSTER = "tests/integration/test_dask_commands.py::"
SCORED_ON_DASK = CLUSTER + "test_score_answers_as_one_process_does"
ELSEWHERE = {
    "make test": SUITE,
    "make lint": SUITE,
    "make lock": REGISTRY,
    "make audit": REGISTRY,
    "pip install -r requirements-dev.txt": REGISTRY,
    "make screenshots": CPU,
    "make monitoring-example": CPU,
    "docker inspect": DAEMON,
    "docker compose down": DAEMON,
    "cd .. && docker compose up --build --detach": DAEMON,
    "sudo chown 10001 pseudonyms review nodes acknowledgements signing": "it needs the rights of root",
    "python app.py": "tests/integration/test_the_whole_loop.py::test_sigterm_commits_what_waits",
    "make cluster": "tests/integration/test_cluster.py::"
    "test_the_cluster_command_starts_all_and_sigterm_leaves_no_child",
    "make notebooks": "tests/notebooks/test_notebooks.py::test_a_notebook_runs_from_top_to_bottom",
    "python -m fraud train": "tests/unit/test_cli.py::test_simulate_and_train_write_what_they_say",
    "pip install -r requirements-scale.txt": REGISTRY,
    "python -m benchmarks.scale": CPU,
    "python -m benchmarks.scale plan": "it reckons with what a run of minutes has left",
    "python -m fraud simulate": "tests/unit/test_cli.py::test_simulate_and_train_write_what_they_say",
    "python -m fraud simulate --out big --rows 10000000 --days 270": "tests/unit/data/test_simulate.py::"
    "test_a_table_written_day_by_day_is_the_table_drawn_at_once",
    "python -m fraud train --engine dask --data big --out big_bundle": "tests/integration/test_scale.py::"
    "test_the_bundle_is_one_like_any_other_with_the_figures_of_one_process",
    "python -m fraud score big --engine dask --out big_scored --rejected refused.csv": SCORED_ON_DASK,
    "python -m fraud tune --engine dask --data big --trials 20": CLUSTER
    + "test_tune_finds_what_one_process_finds",
    "python -m fraud monitor --engine dask --window 7d": CLUSTER
    + "test_monitor_reports_what_one_process_reports",
    "export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE=False": SCORED_ON_DASK,
    "python -m dask scheduler --host 127.0.0.1 --no-dashboard": SCORED_ON_DASK,
    "python -m dask worker tcp://127.0.0.1:8786 --host 127.0.0.1 --nworkers 2 --nthreads 1 --memory-limit "
    "2GB --no-dashboard": SCORED_ON_DASK,
    "python -m fraud score big --engine dask --scheduler tcp://127.0.0.1:8786 --scratch /shared "
    "--out big_scored": SCORED_ON_DASK,
    "python -m fraud tune --check": "tests/unit/models/test_tuning.py::"
    "test_a_check_judges_the_profiles_own_settings_on_the_searchs_folds_and_searches_nothing",
    "python -m fraud tune --profile P --data FILE --trials 30": "tests/unit/models/test_tuning.py::"
    "test_the_command_reports_both_models_and_writes_what_it_found",
    "python -m fraud train --profile P.toml --data FILE": "tests/unit/test_cli.py::"
    "test_simulate_and_train_write_what_they_say",
    "promtool test rules alerts_test.yml": "tests/unit/test_operations.py::"
    "test_promtool_accepts_the_rules_and_they_fire_when_they_should",
    "deploy/schedules/retrain.sh": "tests/unit/test_schedules.py::"
    "test_the_script_exits_as_the_retraining_did_and_sends_what_it_left",
}
"""Command -> the test that runs it, or why none does. Schedules: tests/unit/test_schedules.py."""


def test_the_tests_that_are_named_exist_and_nothing_is_named_for_nothing() -> None:
    assert ELSEWHERE.keys() <= documented().keys()
    for node in filter(lambda where: "::" in where, ELSEWHERE.values()):
        path, name = node.split("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {part.name for part in ast.walk(tree) if isinstance(part, ast.FunctionDef)}, node


def test_every_command_has_somebody_who_types_it() -> None:
    """The story holds it word for word: said here in milliseconds, and there once it was typed."""
    words: set[Any] = set()
    for file in (Path(__file__), Path(chapters.__file__)):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        words |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert not left_out(words)
    (told,) = left_out(words - {"python -m fraud gold"})
    assert told.startswith(
        "docs/retraining.md tells people to type `python -m fraud gold`, which no test does"
    )


def left_out(typed: set[Any]) -> list[str]:
    """Return a sentence for each command that nobody runs; what benchmarks printed stands beside its own."""
    return [
        f"{places[0]} tells people to type `{command}`, which no test does: type it in a chapter of "
        "tests/documented_chapters.py, or name it in ELSEWHERE here, with the test or the reason."
        for command, places in documented().items()
        if command not in typed
        and command not in ELSEWHERE
        and not command.startswith("python -m benchmarks.")  # minutes of CPU; tests/unit/test_documents.py
        and not all(place.startswith("benchmarks/results/") for place in places)
    ]


@pytest.fixture
def operator(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    small_bundle: Path,
    fewer_parity_rows: None,
) -> Operator:
    operator = Operator(tmp_path, monkeypatch, capsys)
    shutil.copytree(small_bundle, tmp_path / "artifacts")
    operator.sets(
        FRAUD_ARTIFACTS_DIR=str(tmp_path / "artifacts"),
        FRAUD_REGISTRY_DIR=str(tmp_path / "registry"),
        FRAUD_FEEDBACK_DIR=str(tmp_path / "feedback_store"),
        FRAUD_COMMIT_SECONDS="0.2",
        FRAUD_REFRESH_SECONDS="0.2",
        FRAUD_WEBHOOK_SECONDS="86400",  # what is sent, a command sends
        FRAUD_WEBHOOK_ALLOW_PRIVATE="1",
        FRAUD_AUDIT_SHARE="0",
    )
    operator.stands_for |= {
        "whsec_...": SECRET,
        "--space ORG/NAME --dataset ORG/NAME --model ORG/NAME": "--space org/demo --dataset org/feedback "
        "--model org/models",
        "HF_TOKEN=...": f"HF_TOKEN={WRITE_TOKEN}",
        "FRAUD_HUB_TOKEN=...": f"FRAUD_HUB_TOKEN={WRITE_TOKEN}",
        "https://HOST/": "https://trainer.example/",
        "2026-09-14": "2026-03-29",
        "1_000_000": "20_000",
        "--rows 10000000 --days 270": "--rows 2000 --days 2",
        "simulate()": "simulate(20_000)",
        "@30": "@1",
        "--hostile 300": "--hostile 3",
        "--days 60": "--days 2",
        "--days 90": "--days 1",
        "--days N --out DIR": "--days 1 --out anywhere",
        "FRAUD_FEEDBACK_DIR=DIR": "FRAUD_FEEDBACK_DIR=anywhere",
        "--profile P --data FILE": "--profile P.toml --data my.csv",
        "--data FILE": "--data my.csv",
        "tune ...": "tune --profile P.toml --data my.csv --trials 1",
        "score FILE": "score rows.csv",
    }
    return operator


def once(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Return what computes the first time only: the same inputs give the same models, which is tested."""
    kept: list[Any] = []

    def remembered(*arguments: Any, **options: Any) -> Any:
        kept[:] = kept or [compute(*arguments, **options)]
        return kept[0]

    return remembered


def test_the_documents_do_what_they_say(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    chapters.looks_around(operator)
    operator.types("export FRAUD_ACKNOWLEDGE_SECRETS=whsec_...")
    chapters.tries_a_table_of_their_own(operator)
    chapters.makes_keys(operator)
    with listening(answer(200), answer(410), answer(200)) as receiver, operator.demo("make demo") as web:
        receipts = chapters.scores_and_flags(operator, web)
        chapters.reads_the_feedback(operator)
        chapters.names_a_receiver(operator, receiver)
        with monkeypatch.context() as patch:
            patch.setattr(steps, "train", once(steps.train))
            chapters.retrains(operator, web, receiver)
        chapters.lets_a_trainer_do_it(operator, monkeypatch)
        chapters.moves_the_window(operator)
        chapters.promotes_and_goes_back(operator, web)
        chapters.watches(operator)
        with LoopbackHub(page=500) as hub:
            chapters.deploys(operator, hub)
            chapters.starts_a_node(operator, web)
        chapters.takes_back(operator, web, receipts)
    chapters.purges(operator, receipts)
    chapters.restores_a_backup(operator, receipts)
    chapters.plays_a_production(operator)
    chapters.prepares_containers(operator)
    assert not left_out(operator.typed)
