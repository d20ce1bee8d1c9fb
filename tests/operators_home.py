"""Somebody who types what the documents say, in a home of their own."""

import contextlib
import os
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import uvicorn
from fastapi import FastAPI

import app as the_demo
from fraud.api import connections
from fraud.cli import main
from fraud.settings import Settings, read_settings
from tests.demo import ROOT, free_port
from tests.documents import documented

_SET = re.compile(r'\s*(?:export )?(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>"[^"]*"|\$\([^)]*\)|\S*)')


class Operator:
    """Types commands as they are documented, and serves what they serve on threads that can be ended.

    Attributes
    ----------
    stands_for : what a document leaves open -> what is typed in its place, the longest first
    typed : the commands so far, as documented
    """

    def __init__(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.home, self.stands_for, self.typed = home, dict[str, str](), set[str]()
        self._environment, self._capsys = monkeypatch, capsys
        self._documented = documented()
        self._servers: list[uvicorn.Server] = []
        for name in [name for name in os.environ if name.startswith(("FRAUD_", "HF_"))]:
            monkeypatch.delenv(name)
        monkeypatch.chdir(home)
        monkeypatch.setattr(connections, "serve", self._serve)
        monkeypatch.setattr(the_demo, "serve", self._serve)
        monkeypatch.setattr(the_demo, "start_logging", lambda: None)

    def sets(self, **variables: str) -> None:
        """Set variables as a shell's profile would."""
        for name, value in variables.items():
            self._environment.setenv(name, value)

    def unsets(self, *names: str) -> None:
        """Forget variables."""
        for name in names:
            self._environment.delenv(name, raising=False)

    def types(self, command: str, *more: str, code: int = 0) -> str:
        """Run a command that a document tells, with `more` options; return what it said, to both streams."""
        assert command in self._documented, f"no document says {command!r} any more: nor need the story"
        self.typed.add(command)
        text = self._with_what_it_stands_for(command)
        with contextlib.ExitStack() as stack:
            exported = text.startswith("export ")
            while found := _SET.match(text):
                text = text[found.end() :]
                value = found["value"].strip('"')
                if "$(" in value:
                    value = subprocess.check_output(["bash", "-euc", f"echo {value}"], text=True).strip()
                if exported:
                    self.sets(**{found["name"]: value})
                else:
                    stack.enter_context(_variable(found["name"], value))
            if text.strip():
                return self._run(text.strip(), more, code)
            return ""

    def reads(self, setting: str) -> Settings:
        """Return the settings of a process with a variable as documented, on a Space if it asks for one."""
        assert setting in self._documented, setting
        self.typed.add(setting)
        name, _, value = setting.partition("=")
        space = {"SPACE_ID": "org/demo", "SYSTEM": "spaces"} if name == "FRAUD_REVIEWERS" else {}
        oauth = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")
        return read_settings({name: value} | space | dict.fromkeys(oauth, "given"))

    def types_beside(self, command: str) -> None:
        """Run a command of the program on this thread and whatever it says unheard."""
        assert command in self._documented, command
        self.typed.add(command)
        main(shlex.split(command)[3:])

    def ends_servers(self) -> None:
        """End what commands left serving behind them."""
        while self._servers:
            self._servers.pop().should_exit = True

    def script(self, *commands: str) -> str:
        """Run commands as the lines of one script."""
        for command in commands:
            assert command in self._documented, command
            self.typed.add(command)
        return self._run("\n".join(map(self._with_what_it_stands_for, commands)), (), 0)

    def _with_what_it_stands_for(self, command: str) -> str:
        for words in sorted(self.stands_for, key=len, reverse=True):
            command = command.replace(words, self.stands_for[words])
        return command

    def _run(self, text: str, more: tuple[str, ...], code: int) -> str:
        words = shlex.split(text)
        self._capsys.readouterr()
        if words[:3] == ["python", "-m", "fraud"]:
            try:
                ended = main([*words[3:], *more])
            except SystemExit as end:  # --help, and what the parser refuses
                ended = int(end.code or 0)
        elif words[:2] == ["python", "-c"]:
            exec(words[2], {})  # noqa: S102 (our own document)
            ended = 0
        else:
            done = subprocess.run(["bash", "-euc", text, *more], capture_output=True, text=True, timeout=60)
            print(done.stdout, done.stderr)
            ended = done.returncode
        said = self._capsys.readouterr()
        assert ended == code, f"{text} ended with {ended}: {said.out}{said.err}"
        assert "Traceback" not in said.err
        return said.out + said.err

    @contextlib.contextmanager
    def demo(self, command: str) -> Iterator[httpx.Client]:
        """Do what `make demo` does, until the block ends."""
        assert command in self._documented and command.endswith("make demo"), command
        self.typed.add(command)
        # Inside `make test` the variables of that make would have this one tell where it is.
        alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        recipe = subprocess.check_output(["make", "--dry-run", "demo"], cwd=ROOT, text=True, env=alone)
        assert recipe.splitlines()[-1] == ".venv/bin/python app.py"
        with contextlib.ExitStack() as stack:
            for found in _SET.finditer(command):
                stack.enter_context(_variable(found["name"], found["value"].strip('"')))
            yield stack.enter_context(self.serving(the_demo.main))

    @contextlib.contextmanager
    def serving(self, starts: Callable[[], Any]) -> Iterator[httpx.Client]:
        """Run what serves at FRAUD_PORT on a thread; yield what asks it, once it is ready, and end it."""
        port, before = free_port(), len(self._servers)
        with _variable("FRAUD_PORT", str(port)):
            thread = threading.Thread(target=starts, daemon=True)
            thread.start()
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                try:
                    _wait_until_ready(client, thread)
                    yield client
                finally:
                    for server in self._servers[before:]:
                        server.should_exit = True
                    thread.join(timeout=60)
                    del self._servers[before:]

    def _serve(self, app: FastAPI, listening: dict[str, Any]) -> None:
        options = connections.connection_options()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", **listening, **options))
        self._servers.append(server)
        server.run()


def _wait_until_ready(client: httpx.Client, thread: threading.Thread) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if client.get("/readyz").status_code == 200:
                return
        assert thread.is_alive(), "it ended before it was ready"
        time.sleep(0.05)
    raise AssertionError(client.get("/readyz").text)


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


def write_own_table(path: Path) -> None:
    """Write a labelled table that is nobody's and has something to find."""
    rng = np.random.default_rng(4)
    n = 1_500
    amount, kind = rng.lognormal(3, 1, n).round(2), rng.choice(["food", "fuel", "shoes"], n)
    risk = -3.5 + 1.5 * (amount > 60) + 1.5 * (kind == "shoes")
    seconds = 1_750_000_000 + np.sort(rng.integers(0, 80 * 86_400, n))
    columns = {
        "when": pd.to_datetime(seconds, unit="s"),
        "card": rng.integers(1, 80, n),
        "amount": amount,
        "kind": kind,
        "is_fraud": (rng.random(n) < 1 / (1 + np.exp(-risk))).astype(int),
    }
    pd.DataFrame(columns).to_csv(path, index=False)
