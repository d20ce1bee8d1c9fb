"""How long a promotion takes: from `promote` until the last of two nodes serves it, on loopback.

    python -m benchmarks.promotion [--rounds 30] [--starts 5]

Real processes: two nodes made by `fraud.cluster`, with the shipped bundle (artifacts/) under two versions
that are promoted in turn. The time includes the commit of the aliases, the durable outbox, the signed notice,
and on each node the check of every digest, the load, the history's index and the warm-up. Nodes do not poll
meanwhile.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np

from fraud.cluster import Cluster, Member, plan_cluster
from fraud.models.bundle import MANIFEST, read_manifest
from fraud.settings import ROOT, read_settings
from fraud.webhooks.messages import model_data
from fraud.wiring import model_registry, webhook_outbox, webhook_sender
from tests.demo import free_port

VERSIONS = ("1.0.0", "1.0.1")


def release(directory: Path, version: str) -> Path:
    """Return a copy of the shipped bundle under another version."""
    target = directory / version
    shutil.copytree(ROOT / "artifacts", target, ignore=shutil.ignore_patterns("registry"))
    manifest = json.loads((target / MANIFEST).read_text())
    (target / MANIFEST).write_text(json.dumps(manifest | {"version": version}))
    return target


def served(client: httpx.Client, member: Member) -> str | None:
    try:
        return str(client.get(f"{member.url}/v1/version").json()["version"])
    except httpx.HTTPError:
        return None


def wait_until_served(member: Member, version: str) -> float:
    """Return when a node first says that it serves a version (perf_counter, seconds)."""
    with httpx.Client(timeout=30) as client:
        deadline = time.perf_counter() + 60
        while served(client, member) != version:
            assert time.perf_counter() < deadline, f"{member.name} never served {version}"
            time.sleep(0.02)
        return time.perf_counter()


def cpu_seconds(member: Member) -> float:
    figures = httpx.get(f"{member.url}/metrics", timeout=30).text
    return float(figures.split("\nprocess_cpu_seconds_total ")[1].split()[0])


def promotions(cluster: Cluster, releases: dict[str, Path], rounds: int) -> list[list[float]]:
    """Return per round: the aliases committed, the notices taken, the last node serving, one node's CPU."""
    settings = read_settings(cluster.commands)
    registry, outbox = model_registry(settings), webhook_outbox(settings)
    sender = webhook_sender(settings, outbox)
    took = []
    with ThreadPoolExecutor(len(cluster.nodes)) as pool:
        for i in range(rounds):
            version = VERSIONS[(i + 1) % 2]
            _, digest = read_manifest(releases[version])
            used = cpu_seconds(cluster.nodes[0])
            start = time.perf_counter()
            registry.promote(version)
            committed = time.perf_counter() - start
            data = model_data(version, registry.revision(version), digest)
            outbox.enqueue("model.promoted", data, datetime.now(UTC))
            waiting = [pool.submit(wait_until_served, node, version) for node in cluster.nodes]
            sender.drain()
            told = time.perf_counter() - start
            last = max(each.result() for each in waiting) - start
            took.append([committed, told, last, cpu_seconds(cluster.nodes[0]) - used])
    return took


def start_times(member: Member, n: int) -> tuple[list[float], list[float]]:
    """Return seconds from the start of a node's process to its first 200 at /readyz, and its CPU seconds."""
    took, used = [], []
    for _ in range(n):
        start = time.perf_counter()
        process = member.start(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with httpx.Client(timeout=5) as client:
            while True:
                assert process.poll() is None
                try:
                    if client.get(f"{member.url}/readyz").status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.01)
            took.append(time.perf_counter() - start)
        used.append(cpu_seconds(member))
        process.terminate()
        process.wait()
    return took, used


def row(name: str, seconds: list[float]) -> str:
    p50, p95 = np.percentile(seconds, [50, 95])
    return f"| {name} | {len(seconds)} | {p50:.2f} | {p95:.2f} | {max(seconds):.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--starts", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        environment = os.environ | {
            "FRAUD_REGISTRY_DIR": str(home / "registry"),
            "FRAUD_FEEDBACK_DIR": str(home / "feedback"),
            "FRAUD_REFRESH_SECONDS": "600",
        }
        cluster = plan_cluster(home, free_port(), [free_port(), free_port()], environment)
        registry = model_registry(read_settings(cluster.commands))
        releases = {version: release(home, version) for version in VERSIONS}
        for version, directory in releases.items():
            registry.record(directory, version)
        registry.promote(VERSIONS[0])
        load = os.getloadavg()[0]
        print(f"{os.cpu_count()} cores, load before {load:.1f}\n")
        print("| seconds | n | p50 | p95 | max |\n|---|---|---|---|---|")
        took, used = start_times(cluster.nodes[0], options.starts)
        print(row("start of a node to ready", took))
        print(row("CPU time of that", used), flush=True)
        log = (home / "nodes.log").open("wb")
        running = [node.start(stdout=log, stderr=log) for node in cluster.nodes]
        try:
            for node in cluster.nodes:
                wait_until_served(node, VERSIONS[0])
            rounds = promotions(cluster, releases, options.rounds)
        finally:
            for process in running:
                process.terminate()
                process.wait()
        committed, told, last, cpu = map(list, zip(*rounds, strict=True))
        print(row("promote to the last of two nodes serving", last))
        print(row("of that, until the aliases were committed", committed))
        print(row("of that, until both nodes had taken the notice", told))
        print(row("CPU time of one node per promotion", cpu))
        print(f"\nload after {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
