"""The real app.py in a process of its own, for tests and drills that kill it."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Demo:
    """The real app.py in a process of its own."""

    def __init__(
        self, environment: dict[str, str], log: Path, cwd: Path = ROOT, python: str = sys.executable
    ) -> None:
        self.url = f"http://127.0.0.1:{environment['FRAUD_PORT']}"
        self._environment = environment
        self._log = log
        self._cwd, self._python = cwd, python
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [self._python, "app.py"], cwd=self._cwd, env=self._environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.2)
            assert self.process.poll() is None, self._log.read_text()
        raise AssertionError("the demo did not become ready: " + self._log.read_text())

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)

    def post(self, path: str, body: dict) -> dict:
        answer = httpx.post(f"{self.url}{path}", json=body, timeout=60)
        answer.raise_for_status()
        return dict(answer.json())

    def get(self, path: str) -> dict:
        answer = httpx.get(f"{self.url}{path}", timeout=60)
        answer.raise_for_status()
        return dict(answer.json())


def wait_for(condition: object, seconds: float = 120) -> object:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()  # type: ignore[operator]
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")
