"""Load many prediction nodes behind one address: does throughput add up, and what does a death cost.

    python -m benchmarks.nodes [--seconds 8]

Nodes on loopback behind nginx with deploy/nginx/fraud.conf, whose limit of requests per address is lifted,
since wrk is one address. On a machine with two cores wrk and nginx need a good part of one, so requests a
second cannot double there. What tells is what a request costs: if two nodes need no
more processor per request than one, as many processes as cores give as many times the requests. Needs nginx
and wrk.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.serving import ROOT, free_port, loaded, wrk

CONFIG = ROOT / "deploy" / "nginx" / "fraud.conf"
AROUND = """
daemon off; master_process off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
    include {home}/fraud.conf;
}}
"""


def configuration(port: int, nodes: Sequence[int]) -> str:
    """Return the kept configuration with other ports, as many nodes as there are, and no limit."""
    text = CONFIG.read_text(encoding="utf-8").replace("127.0.0.1:7880", f"127.0.0.1:{port}")
    servers = re.findall(r"    server 127\.0\.0\.1:787\d .*;\n", text)
    kept = "".join(servers[0].replace("7870", str(node)) for node in nodes)
    text = text.replace("".join(servers), kept)
    text, n_lifted = re.subn(r"rate=50r/s", "rate=1000000r/s", text)
    text, n_burst = re.subn(r"burst=100 ", "burst=100000 ", text)
    assert (len(servers), n_lifted, n_burst) == (2, 1, 1), "the kept configuration has changed"
    return text


@contextmanager
def started(
    command: Sequence[str], cores: set[int], ready: str, **environment: str
) -> Iterator[psutil.Process]:
    """Yield a process bound to cores, once it answers at `ready`."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # a child inherits it
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.sched_setaffinity(0, own)
    try:
        _wait(process, ready)
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", url: str) -> None:
    import httpx

    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
        assert process.poll() is None, f"{process.args} ended by itself"
    raise AssertionError(f"{url} is not ready")


@contextmanager
def behind_nginx(n_nodes: int, cores: Sequence[set[int]]) -> Iterator[tuple[int, list[Any], Any]]:
    """Yield the one port, the nodes' processes and nginx's; `cores` has each node's."""
    with tempfile.TemporaryDirectory(prefix="fraud-nodes-") as folder, ExitStack() as stack:
        ports = [free_port() for _ in range(n_nodes)]
        nodes = [
            stack.enter_context(
                started(
                    [sys.executable, "-m", "fraud", "node", "--port", str(port), "--name", f"node-{i}"],
                    cores[i],
                    f"http://127.0.0.1:{port}/readyz",
                    FRAUD_REGISTRY_DIR=str(Path(folder, "registry")),
                    FRAUD_NODE_DIR=str(Path(folder, "nodes")),
                )
            )
            for i, port in enumerate(ports)
        ]
        port = free_port()
        Path(folder, "fraud.conf").write_text(configuration(port, ports), encoding="utf-8")
        Path(folder, "nginx.conf").write_text(AROUND.format(home=folder), encoding="utf-8")
        command = ["nginx", "-p", folder, "-e", f"{folder}/error.log", "-c", "nginx.conf"]
        proxy = stack.enter_context(
            started(command, os.sched_getaffinity(0), f"http://127.0.0.1:{port}/readyz")
        )
        yield port, nodes, proxy


def cpu(processes: Sequence[Any]) -> float:
    """Return the processor seconds that processes have had."""
    return sum(sum(one.cpu_times()[:2]) for one in processes if one.is_running())


def throughput(body: object, n_nodes: int, cores: Sequence[set[int]], seconds: int, said: str) -> None:
    """Print what nodes answer behind one address, and what an answer costs."""
    with behind_nginx(n_nodes, cores) as (port, nodes, proxy):
        wrk(port, "/v1/score", body, 8, 2)  # warms up
        before = cpu(nodes), cpu([proxy])
        found = wrk(port, "/v1/score", body, 16, seconds)
        n = max(1.0, found["rate"] * seconds)
        of_nodes, of_proxy = (cpu(nodes) - before[0], cpu([proxy]) - before[1])
        print(
            f"| {n_nodes} | {said} | {found['rate']:,.0f} | {found['p50']:.1f} | {found['p99']:.1f} | "
            f"{found['errors']:.0f} | {of_nodes / n * 1e3:.3f} | {of_proxy / n * 1e3:.3f} | "
            f"{of_nodes / seconds:.2f} |",
            flush=True,
        )


def a_death(body: object, seconds: int) -> None:
    """Kill one of two nodes in the middle of a load, and print how many requests were lost."""
    cores = os.sched_getaffinity(0)
    with behind_nginx(2, [cores, cores]) as (port, nodes, _):
        wrk(port, "/v1/score", body, 8, 2)
        killer = threading.Timer(seconds / 2, nodes[0].send_signal, [signal.SIGKILL])
        killer.start()
        found = wrk(port, "/v1/score", body, 16, seconds)
        killer.join()
        print(
            f"\nOne of two nodes killed (SIGKILL) after {seconds / 2:g} of {seconds} s: "
            f"{found['rate'] * seconds:,.0f} requests, {found['errors']:.0f} without an answer of 200."
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=8)
    seconds = parser.parse_args().seconds
    for binary in ("nginx", "wrk"):
        if shutil.which(binary) is None:
            sys.exit(
                f"{binary} is not installed (Debian: apt-get install nginx-light wrk); nothing was measured."
            )
    body = {"transaction": loaded()[0].examples["examples"][0]["transaction"]}
    everywhere = sorted(os.sched_getaffinity(0))
    first, last = {everywhere[0]}, {everywhere[-1]}
    print("| nodes | where | requests/s | p50, ms | p99, ms | errors ", end="")
    print("| processor ms of nodes per request | of nginx | cores that nodes had |")
    print("|---|---|---|---|---|---|---|---|---|")
    throughput(body, 1, [first], seconds, "on one core")
    throughput(body, 2, [first, first], seconds, "both on that core")
    throughput(body, 2, [first, last], seconds, "a core each, shared with wrk and nginx")
    a_death(body, seconds)
    print(f"\nLoad of the machine beside this: {os.getloadavg()[0]:.1f} (1 minute, {len(everywhere)} cores).")


if __name__ == "__main__":
    main()
