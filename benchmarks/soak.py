"""Mixed load on the application: scores, reasons, flags, tables, streams, releases and bad clients.

    python -m benchmarks.soak [minutes, default 30]

Prints every minute the memory and the file descriptors of the server. At the end: what was answered, 5xx,
tracebacks in its log, and the slopes of memory and descriptors over the second half. Exit code 1 where there
was a 5xx or a traceback, or the server grew by more than 2 MB or 2 descriptors a minute.
"""

import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc

from benchmarks.serving import ARTIFACTS, ROOT, free_port

WARM_UP_SHARE = 0.5
MOST_MB_A_MINUTE = 2.0
MOST_DESCRIPTORS_A_MINUTE = 2.0


class Load:
    """Counts what clients were answered, until told to stop."""

    def __init__(self, port: int, examples: list[dict[str, Any]], home: Path) -> None:
        self.port = port
        self.examples = examples
        self.home = home
        self.stopping = threading.Event()
        self.answers: Counter[tuple[str, int]] = Counter()
        self.problems: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, name: str, status: int) -> None:
        """Count one answer; 0 stands for none."""
        with self._lock:
            self.answers[name, status] += 1

    def run(self, name: str, work: Callable[[httpx.Client, random.Random], int], pause: float) -> None:
        """Do a client's work again and again."""
        chance = random.Random(name)  # noqa: S311 (which request comes next)
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60) as client:
            while not self.stopping.wait(pause * chance.random() * 2):
                try:
                    self.note(name, work(client, chance))
                except (httpx.HTTPError, OSError) as error:
                    self.note(name, 0)
                    self.problems[f"{name}: {type(error).__name__}"] += 1

    def transaction(self, chance: random.Random) -> dict[str, Any]:
        """Return one example with another amount."""
        return chance.choice(self.examples) | {"amount": round(chance.uniform(1, 500), 2)}

    # Clients

    def score(self, client: httpx.Client, chance: random.Random) -> int:
        """Score one transaction, now and then a wrong one or with a history."""
        body: dict[str, Any] = {"transaction": self.transaction(chance)}
        if chance.random() < 0.1:
            body["transaction"]["amount"] = "lots"
        if chance.random() < 0.2:
            body["history"] = []
        return client.post("/v1/score", json=body).status_code

    def explain(self, client: httpx.Client, chance: random.Random) -> int:
        """Ask for reasons."""
        return client.post("/v1/explain", json={"transaction": self.transaction(chance)}).status_code

    def flag(self, client: httpx.Client, chance: random.Random) -> int:
        """Score, flag, follow, and sometimes withdraw."""
        scored = client.post("/v1/score", json={"transaction": self.transaction(chance)}).json()
        flag = {
            "prediction_id": scored["prediction_id"],
            "verdict": "wrong",
            "label": "fraud" if scored["scores"]["xgboost"]["decision"] == "approve" else "legitimate",
            "consent": True,
            "reporter": f"soak-{chance.randrange(500)}",
        }
        answer = client.post("/v1/flags", json=flag)
        if answer.status_code != 201:
            return answer.status_code
        receipt = answer.json()["receipt_id"]
        client.get(f"/v1/flags/{receipt}")
        if chance.random() < 0.1:
            return client.post("/v1/withdrawals", json={"receipt_id": receipt}).status_code
        return 201

    def table(self, client: httpx.Client, chance: random.Random) -> int:
        """Score a CSV of 2,000 rows."""
        names = list(self.examples[0])
        rows = [self.transaction(chance) for _ in range(2_000)]
        text = "\n".join([",".join(names), *(",".join(str(r[n]) for n in names) for r in rows)])
        kind = {"content-type": "text/csv"}
        return client.post("/v1/score/batch", content=text, headers=kind).status_code

    def ndjson(self, client: httpx.Client, chance: random.Random) -> int:
        """Score a stream of lines, some of them wrong."""
        rows = [json.dumps(self.transaction(chance)) if chance.random() > 0.02 else "{" for _ in range(2_000)]
        kind = {"content-type": "application/x-ndjson"}
        answer = client.post("/v1/score/batch", content="\n".join(rows), headers=kind)
        whole = answer.status_code != 200 or len(answer.text.splitlines()) == len(rows)
        return answer.status_code if whole else 0

    def arrow(self, client: httpx.Client, chance: random.Random) -> int:
        """Score an Arrow stream."""
        table = pa.Table.from_pylist([self.transaction(chance) for _ in range(2_000)])
        sink = io.BytesIO()
        with ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, 500)
        kind = {"content-type": "application/vnd.apache.arrow.stream"}
        return client.post("/v1/score/batch", content=sink.getvalue(), headers=kind).status_code

    def page(self, client: httpx.Client, chance: random.Random) -> int:
        """Look at the page and the figures."""
        return client.get(
            chance.choice(["/", "/metrics", "/readyz", "/v1/models", "/openapi.json"])
        ).status_code

    def nuisance(self, client: httpx.Client, chance: random.Random) -> int:
        """Connect and send half of something, or nothing."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(
                chance.choice(
                    [
                        b"",
                        b"POST /v1/score HTTP/1.1\r\nHost: x\r\n",
                        b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{",
                        b"\x16\x03\x01\x02\x00",
                    ]
                )
            )
            self.stopping.wait(chance.uniform(0, 20))
        return 1

    def swap(self, client: httpx.Client, chance: random.Random) -> int:
        """Promote one of two releases in turn, as a maintainer would."""
        version = f"1.0.{self.answers['swap', 1] % 2}"
        command = [sys.executable, "-m", "fraud", "promote", version]
        subprocess.run(
            command, cwd=ROOT, env=_environment(self.home, self.port), capture_output=True, check=False
        )
        return 1


def _environment(home: Path, port: int) -> dict[str, str]:
    return os.environ | {
        "FRAUD_PORT": str(port),
        "FRAUD_FEEDBACK_DIR": str(home / "feedback"),
        "FRAUD_REGISTRY_DIR": str(home / "registry"),
        "FRAUD_NODE_DIR": str(home / "nodes"),
        "FRAUD_REPORTER_LIMIT": "off",
        "FRAUD_ADDRESS_LIMIT": "off",
        "FRAUD_LOOKUP_LIMIT": "off",
    }


def record_releases(home: Path) -> None:
    """Record the shipped bundle as 1.0.0 and again as 1.0.1, so that there is something to swap."""
    from fraud.models.bundle import seal
    from fraud.settings import read_settings
    from fraud.wiring import model_registry

    registry = model_registry(read_settings(_environment(home, 1)))
    for version in ("1.0.0", "1.0.1"):
        directory = home / f"bundle-{version}"
        shutil.copytree(ARTIFACTS, directory, ignore=shutil.ignore_patterns("registry", "monitoring"))
        manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
        seal(directory, manifest | {"version": version})
        registry.record(directory, f"record {version}")


def usage(process_id: int) -> tuple[float, int]:
    """Return a process's resident memory in MB, and how many descriptors it holds."""
    status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return kilobytes / 1024, len(os.listdir(f"/proc/{process_id}/fd"))


def main() -> int:
    """Load the application for some minutes; return the exit code."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    home = Path(tempfile.mkdtemp(prefix="fraud-soak-"))
    record_releases(home)
    port = free_port()
    log = home / "log"
    with log.open("wb") as stream:
        server = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=_environment(home, port), stdout=stream, stderr=stream
        )
    try:
        return _soak(server, port, home, log, minutes)
    finally:
        server.terminate()
        server.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def _soak(server: "subprocess.Popen[bytes]", port: int, home: Path, log: Path, minutes: float) -> int:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        while True:
            try:
                if client.get("/readyz").status_code == 200:
                    break
            except httpx.HTTPError:
                assert server.poll() is None, log.read_text()
                time.sleep(0.2)
        load = Load(port, [e["transaction"] for e in client.get("/v1/examples").json()], home)
    clients = [("score", load.score, 0.005)] * 3 + [("nuisance", load.nuisance, 1.0)] * 4
    clients += [("explain", load.explain, 0.1), ("flag", load.flag, 0.1), ("page", load.page, 0.5)]
    clients += [("table", load.table, 2.0), ("ndjson", load.ndjson, 1.0), ("arrow", load.arrow, 1.0)]
    clients += [("swap", load.swap, 15.0)]
    threads = [threading.Thread(target=load.run, args=client, daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    points: list[tuple[float, float, int]] = []
    start = time.monotonic()
    while time.monotonic() - start < minutes * 60 and server.poll() is None:
        time.sleep(min(10.0, minutes * 6))
        points.append(((time.monotonic() - start) / 60, *usage(server.pid)))
        if len(points) % 6 == 0:
            print(f"{points[-1][0]:5.1f} min  {points[-1][1]:6.0f} MB  {points[-1][2]:4d} fd", flush=True)
    alive = server.poll() is None
    load.stopping.set()
    for thread in threads:
        thread.join(90)
    return _report(load, points, log.read_text(encoding="utf-8", errors="replace"), alive=alive)


def _report(load: Load, points: list[tuple[float, float, int]], said: str, *, alive: bool) -> int:
    print("\n| client | answers by status |\n|---|---|")
    for name in dict.fromkeys(name for name, _ in load.answers):
        by_status = {status: n for (n_, status), n in sorted(load.answers.items()) if n_ == name}
        print(f"| {name} | {', '.join(f'{status}: {n:,}' for status, n in by_status.items())} |")
    n_5xx = sum(n for (_, status), n in load.answers.items() if status >= 500)
    n_none = sum(n for (_, status), n in load.answers.items() if status == 0)
    n_tracebacks = said.count("Traceback (most recent call last)")
    late = np.array(points[int(len(points) * WARM_UP_SHARE) :])
    megabytes, descriptors = (float(np.polyfit(late[:, 0], late[:, i], 1)[0]) for i in (1, 2))
    print(
        f"\n{n_5xx} answers of 5xx, {n_none} without an answer, {n_tracebacks} tracebacks; memory "
        f"{points[0][1]:.0f} to {points[-1][1]:.0f} MB, in the second half {megabytes:+.2f} MB a minute; "
        f"descriptors {points[0][2]} to {points[-1][2]}, {descriptors:+.2f} a minute; "
        f"load of the machine {os.getloadavg()[0]:.1f}."
    )
    for problem, n in load.problems.most_common():
        print(f"{problem}: {n}")
    if n_tracebacks or not alive:
        print(said[-4_000:])
    good = alive and n_5xx == 0 and n_tracebacks == 0
    flat = megabytes <= MOST_MB_A_MINUTE and descriptors <= MOST_DESCRIPTORS_A_MINUTE
    return 0 if good and flat else 1


if __name__ == "__main__":
    sys.exit(main())
