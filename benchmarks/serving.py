"""Serving against what it replaces: one transaction, its reasons, HTTP, a million rows, cold starts.

    python -m benchmarks.serving [one reasons http batch start]

Peers take turns within one run, each round on another row, so that a slow moment of the machine meets all of
them. The models are those of artifacts/; the peers are the pickled estimators that it was made from, in the
hands of scikit-learn, XGBoost, shap, pandas and a plain Gradio page. A section alone runs in a few minutes.
"""

import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
ARTIFACTS = ROOT / "artifacts"
PICKLES = {"random_forest": "random_forest_otimizado.pkl", "xgboost": "xgboost_otimizado.pkl"}
N_BATCH = int(os.environ.get("FRAUD_BENCH_ROWS", "1000000"))
LOAD_S = int(os.environ.get("FRAUD_BENCH_SECONDS", "30"))


@dataclass(frozen=True)
class Times:
    """Sorted seconds of one call: on the clock, and of the processor alone.

    On a machine that others use too, only the processor's time says what a call costs.
    """

    clock: list[float]
    processor: list[float]


def take_turns(calls: dict[str, Callable[[int], object]], rounds: int) -> dict[str, Times]:
    """Return the times of each call, given the round's number; three more rounds warm up before."""
    clock: dict[str, list[float]] = {name: [] for name in calls}
    processor: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(-3, rounds):
        for name, call in calls.items():
            began, start = time.thread_time(), time.perf_counter()
            call(number)
            if number >= 0:
                clock[name].append(time.perf_counter() - start)
                processor[name].append(time.thread_time() - began)
    return {name: Times(sorted(clock[name]), sorted(processor[name])) for name in calls}


def row(name: str, times: Times, note: str = "") -> str:
    """Return one line of a table, in microseconds."""
    p99 = times.clock[min(len(times.clock) - 1, int(len(times.clock) * 0.99))]
    middle, cost = statistics.median(times.clock), statistics.median(times.processor)
    return f"| {name} | {middle * 1e6:,.0f} | {p99 * 1e6:,.0f} | {cost * 1e6:,.0f} | {note} |"


def ratio_of(slow: Times, fast: Times) -> str:
    """Return how many times faster, by the clock and by the processor."""
    clock = statistics.median(slow.clock) / statistics.median(fast.clock)
    processor = statistics.median(slow.processor) / statistics.median(fast.processor)
    return f"**{clock:,.0f} times faster**, {processor:,.0f} by the processor"


def loaded() -> tuple[Any, dict[str, Any]]:
    """Return the scorer of artifacts/, and the estimators that it was made from, on one thread each."""
    import joblib

    from fraud.models.bundle import load_bundle
    from fraud.serving.scorer import Scorer

    scorer = Scorer.from_bundle(load_bundle(ARTIFACTS))
    folder = ARTIFACTS / "modelos_otimizados"
    libraries = {name: joblib.load(folder / file).estimator for name, file in PICKLES.items()}
    libraries["random_forest"].n_jobs = 1  # for one row, threads only cost: 55 ms against 16
    libraries["xgboost"].get_booster().set_param({"nthread": 1})
    return scorer, libraries


def raw_rows(scorer: Any, n: int) -> list[dict[str, Any]]:
    """Return past transactions as clients would send them."""
    from fraud.models.examples import to_record

    chosen = np.random.default_rng(0).choice(len(scorer.past), n, replace=False)
    return [to_record(scorer.past, int(i), scorer.bundle.profile) for i in chosen]


def one() -> None:
    """Time one transaction: the engines alone, then the whole scorer."""
    import pandas as pd

    from fraud.models.examples import to_record
    from fraud.serving.predicting import predict

    scorer, libraries = loaded()
    rows = raw_rows(scorer, 300)
    matrix = np.vstack([scorer.features(r) for r in rows])
    frames = [pd.DataFrame(matrix[i : i + 1], columns=list(scorer.pipeline.names)) for i in range(len(rows))]
    forests = [model.forest for model in scorer.bundle.models.values()]
    for name, library in libraries.items():
        raw = scorer.bundle.models[name].forest.probability(matrix)
        assert np.abs(raw - library.predict_proba(matrix)[:, 1]).max() < 1e-6

    def packed(i: int) -> object:
        return [forest.probability(matrix[i % 300 : i % 300 + 1]) for forest in forests]

    def library(i: int) -> object:
        return [each.predict_proba(frames[i % 300]) for each in libraries.values()]

    now = datetime.now(UTC)
    entity = scorer.bundle.profile.main_entity.column
    pasts = {}
    for r in rows:
        known = scorer.past_of(r[entity])
        first = max(0, len(known) - 30)
        pasts[r[entity]] = [to_record(known, k, scorer.bundle.profile) for k in range(first, len(known))]
    n_past = statistics.median(len(past) for past in pasts.values())
    times = take_turns({"packed": packed, "library": library}, 300) | take_turns(
        {
            "known": lambda i: predict(scorer, rows[i % 300], None, now),
            "sent": lambda i: predict(scorer, rows[i % 300], pasts[rows[i % 300][entity]], now),
        },
        2_000,
    )
    print("| one transaction | p50, us | p99, us | processor, us | |\n|---|---|---|---|---|")
    print(
        row(
            "both engines, packed",
            times["packed"],
            f"{ratio_of(times['library'], times['packed'])} (goal: 100)",
        )
    )
    print(row("RandomForestClassifier + XGBClassifier, one-row DataFrame", times["library"], "n_jobs=1"))
    print(row("whole scorer, raw dict, past known here", times["known"], "goal: p50 < 1,000"))
    print(
        row(
            f"whole scorer, raw dict with {n_past:.0f} past transactions sent",
            times["sent"],
            "goal: p50 < 1,000",
        )
    )


def reasons() -> None:
    """Time the reasons of one transaction by both models."""
    import shap

    scorer, libraries = loaded()
    matrix = np.vstack([scorer.features(r) for r in raw_rows(scorer, 100)])
    forests = {name: model.forest for name, model in scorer.bundle.models.items()}
    explainers = {name: shap.TreeExplainer(library) for name, library in libraries.items()}

    def peer(i: int) -> dict[str, np.ndarray]:
        x = matrix[i % 100 : i % 100 + 1]
        found = {name: np.asarray(e.shap_values(x, check_additivity=False)) for name, e in explainers.items()}
        return {name: v[..., 1] if v.ndim == 3 else v for name, v in found.items()}

    def packed(i: int) -> dict[str, tuple[np.ndarray, float]]:
        return {name: forest.contributions(matrix[i % 100 : i % 100 + 1]) for name, forest in forests.items()}

    gap = difference = 0.0
    for i in range(20):
        ours, theirs = packed(i), peer(i)
        for name, forest in forests.items():
            phi, expected = ours[name]
            gap = max(gap, abs(float(phi.sum() + expected - forest.raw(matrix[i : i + 1])[0])))
            difference = max(difference, float(np.abs(phi - theirs[name]).max()))
    times = take_turns({"packed": packed, "shap": peer}, 60)
    print("| reasons of one, both models | p50, us | p99, us | processor, us | |\n|---|---|---|---|---|")
    print(
        row("packed", times["packed"], f"{ratio_of(times['shap'], times['packed'])} (goal: 8; p50 < 8,000)")
    )
    print(row("shap.TreeExplainer", times["shap"], ""))
    print(
        f"\nSums differ from the scores by at most {gap:.1e}, contributions from shap's by {difference:.1e}."
    )


@contextmanager
def process(arguments: list[str], port: int, path: str, **environment: str) -> Iterator[float]:
    """Start a server, yield the seconds until it answers, end it."""
    directory = tempfile.mkdtemp(prefix="fraud-bench-")
    env = os.environ | {
        "FRAUD_PORT": str(port),
        "FRAUD_FEEDBACK_DIR": directory,
        "FRAUD_REGISTRY_DIR": f"{directory}/registry",
        **environment,
    }
    start = time.perf_counter()
    with Path(directory, "log").open("wb") as log:
        server = subprocess.Popen(arguments, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
                    if answer.status == 200:
                        break
            except OSError:
                assert server.poll() is None, Path(directory, "log").read_text()
                time.sleep(0.01)
        yield time.perf_counter() - start
    finally:
        server.terminate()
        server.wait(60)
        shutil.rmtree(directory, ignore_errors=True)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_PLAIN_GRADIO = """
import sys, gradio as gr, joblib, pandas as pd
folder, port = sys.argv[1], int(sys.argv[2])
models = [joblib.load(f"{folder}/{name}_otimizado.pkl").estimator for name in ("random_forest", "xgboost")]
models[0].n_jobs = 1
models[1].get_booster().set_param({"nthread": 1})
def predict(features):
    frame = pd.DataFrame([features], dtype=float)
    return {type(m).__name__: float(m.predict_proba(frame)[0, 1]) for m in models}
demo = gr.Interface(predict, gr.JSON(), gr.JSON(), api_name="predict")
demo.queue(default_concurrency_limit=2)
demo.launch(server_name="127.0.0.1", server_port=port, quiet=True)
"""


def wrk(port: int, path: str, body: object, connections: int, seconds: int) -> dict[str, float]:
    """Return requests/s, p50 and p99 in ms, and the number of errors of a run of wrk."""
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory, "post.lua")
        text = json.dumps(body).replace("\\", "\\\\").replace("'", "\\'")
        script.write_text(
            f"wrk.method='POST'\nwrk.headers['Content-Type']='application/json'\nwrk.body='{text}'\n"
        )
        command = [
            "wrk",
            "--timeout",
            "30s",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--latency",
            "-s",
            str(script),
        ]
        out = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True
        ).stdout

    def duration(label: str) -> float:
        found = re.search(rf"{label}\s+([\d.]+)(us|ms|s)", out)
        return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]] if found else float("nan")

    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    errors = int(bad[1]) if bad else 0
    errors += sum(int(n) for n in broken.groups()) if broken else 0
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    return {
        "rate": float(rate[1]) if rate else 0.0,
        "p50": duration("50%"),
        "p99": duration("99%"),
        "errors": errors,
    }


def http() -> None:
    """Load /v1/score of app.py, of a prediction node, and a plain Gradio page of the same models."""
    if shutil.which("wrk") is None:
        print("wrk is not installed (Debian: apt-get install wrk); nothing was measured.")
        return
    scorer, _ = loaded()
    example = scorer.examples["examples"][0]["transaction"]
    vector = scorer.features(example)[0].tolist()
    features = {
        name: None if value != value else value
        for name, value in zip(scorer.pipeline.names, vector, strict=True)
    }
    python = sys.executable
    ports = [free_port() for _ in range(3)]
    print("| server | connections | requests/s | p50, ms | p99, ms | errors |\n|---|---|---|---|---|---|")
    with (
        process([python, "app.py"], ports[0], "/readyz"),
        process([python, "-m", "fraud", "node", "--port", str(ports[1])], ports[1], "/readyz"),
        process(
            [python, "-c", _PLAIN_GRADIO, str(ARTIFACTS / "modelos_otimizados"), str(ports[2])], ports[2], "/"
        ),
    ):
        sent = {"transaction": example}
        for connections, seconds in ((1, max(5, LOAD_S // 3)), (2, LOAD_S), (8, LOAD_S)):
            for name, port, path, body in (
                ("app.py, /v1/score", ports[0], "/v1/score", sent),
                ("fraud node, /v1/score", ports[1], "/v1/score", sent),
                ("plain Gradio", ports[2], "/gradio_api/run/predict", {"data": [features]}),
            ):
                plain = name == "plain Gradio"
                found = wrk(port, path, body, connections, min(seconds, 10) if plain else seconds)
                print(
                    f"| {name} | {connections} | {found['rate']:,.0f} | {found['p50']:.2f} "
                    f"| {found['p99']:.2f} | {found['errors']:.0f} |",
                    flush=True,
                )


BESIDE = ("features", "random_forest", "xgboost", "write")
"""Stages of a scored table that overlap."""
_BATCH_OURS = """
import json, resource, sys, time
from datetime import UTC, datetime
from pathlib import Path
start = time.perf_counter()
from fraud.models.bundle import load_bundle
from fraud.serving.scorer import Scorer
from fraud.tables.to_file import score_file
scorer = Scorer.from_bundle(load_bundle(Path("artifacts")))
begun, used = time.perf_counter(), time.process_time()
result = score_file(scorer, Path(sys.argv[1]), Path(sys.argv[2]), datetime.now(UTC))
print(json.dumps({"start": begun - start, "seconds": time.perf_counter() - begun,
    "stages": dict(result.seconds), "processor": time.process_time() - used,
    "rows": result.n_scored, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def batch() -> None:
    """Score a CSV of a million rows to Parquet, here and by the libraries with pandas around them."""
    from fraud.data.simulate import simulate

    with tempfile.TemporaryDirectory(prefix="fraud-bench-") as directory:
        source = Path(directory, "rows.csv")
        simulated = simulate(n_transactions=N_BATCH, seed=11, days=240)
        simulated.drop(columns=["is_fraud", "reported_at", "typology"]).to_csv(source, index=False)
        n_rows = len(simulated)
        del simulated
        target = Path(directory, "out.parquet")
        run = subprocess.run(
            [sys.executable, "-c", _BATCH_OURS, str(source), str(target)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        ours = json.loads(run.stdout)
        assert ours["rows"] == n_rows
        rate = n_rows / ours["seconds"]
        peer = subprocess.run(
            [
                sys.executable,
                "-c",
                "from benchmarks.serving_pandas import main; main()",
                str(source),
                directory,
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        theirs = json.loads(peer.stdout)
    print(f"{n_rows:,} rows of CSV to Parquet, both models.\n")
    print("| | seconds | rows/s | peak memory, MB |\n|---|---|---|---|")
    print(f"| `python -m fraud score` | {ours['seconds']:.1f} | {rate:,.0f} | {ours['mb']:,.0f} |")
    total = sum(theirs["stages"].values())
    print(
        f"| pandas + scikit-learn + XGBoost | {total:.1f} | {n_rows / total:,.0f} | {theirs['mb']:,.0f} |\n\n"
        f"**{rate * total / n_rows:.1f} times faster** (goal: 5; memory below 1,500 MB). "
        f"Processor: {theirs['processor']:.1f} s there, {ours['processor']:.1f} s here, "
        f"**{theirs['processor'] / ours['processor']:.1f} times**.\n"
    )
    print("Stages one after the other are seconds of the clock. Those marked * run beside each other, on two")
    print("threads and this one, in 'score and write': seconds of the processor.\n")
    print("| stage | here, s | pandas and libraries, s |\n|---|---|---|")
    for stage in dict.fromkeys([*ours["stages"], *theirs["stages"]]):
        beside = "*" if stage in ours["stages"] and stage in BESIDE else ""
        cells = [f"{each['stages'][stage]:.1f}" if stage in each["stages"] else "" for each in (ours, theirs)]
        print(f"| {stage} | {cells[0]}{beside} | {cells[1]} |")


def start() -> None:
    """Time from the command to the first 200 of /readyz, and what importing costs."""
    python = sys.executable
    servers = {
        "python -m fraud node": [python, "-m", "fraud", "node"],
        "app.py": [python, "app.py"],
    }
    goals = {"python -m fraud node": 2, "app.py": 6}
    print("| start to ready | median, s | slowest, s | goal, s |\n|---|---|---|---|")
    for name, command in servers.items():
        taken = []
        for _ in range(6):
            port = free_port()
            with process(
                command if name == "app.py" else [*command, "--port", str(port)], port, "/readyz"
            ) as s:
                taken.append(s)
        taken = sorted(taken[1:])  # the first fills the caches of files
        print(f"| {name} | {statistics.median(taken):.2f} | {taken[-1]:.2f} | {goals[name]} |")
    print("\n| import (`python -X importtime`), node | own, ms |\n|---|---|")
    for module, milliseconds in import_times():
        print(f"| {module} | {milliseconds:,.0f} |")


def import_times() -> list[tuple[str, float]]:
    """Return the costliest packages that a node imports, each without the others."""
    modules = ("fraud.api.node", "fraud.api.connections", "fraud.wiring_node", "fraud.cli_node", "uvicorn")
    code = f"import {', '.join(modules)}, fraud.models.kernels, fraud.models.shapley"
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    own: dict[str, float] = {}
    for line in run.stderr.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[0].strip().isdigit():
            package = parts[2].strip().split(".")[0]
            own[package] = own.get(package, 0.0) + int(parts[0]) / 1000
    return sorted(own.items(), key=lambda item: -item[1])[:12]


SECTIONS: dict[str, Callable[[], None]] = {
    "one": one,
    "reasons": reasons,
    "http": http,
    "batch": batch,
    "start": start,
}


def main() -> None:
    """Run the sections that are named, or all."""
    warnings.filterwarnings("ignore", message="X has feature names")
    chosen = sys.argv[1:] or list(SECTIONS)
    libraries = (
        "numpy",
        "numba",
        "scikit-learn",
        "xgboost-cpu",
        "pandas",
        "pyarrow",
        "shap",
        "gradio",
        "uvicorn",
    )
    print(f"Python {platform.python_version()}, " + ", ".join(f"{n} {version(n)}" for n in libraries) + ";")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the beginning.")
    for name in chosen:
        print(f"\n## {name}\n", flush=True)
        SECTIONS[name]()
    print(f"\nLoad {os.getloadavg()[0]:.1f} at the end.")


if __name__ == "__main__":
    main()
