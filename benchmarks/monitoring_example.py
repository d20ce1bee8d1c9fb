"""Make the Monitoring tab's example: `python -m benchmarks.monitoring_example` (make monitoring-example).

Plays two months of production on the shipped models, a new kind of fraud halfway, looks at it every week, and
writes the ledger and the newest report to artifacts/monitoring/. The demo shows them, labelled as simulated,
while its own ledger has no run. To be run again whenever artifacts/ is rebuilt; takes some minutes.
"""

import json
import os
import shutil
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from fraud.cli import main
from fraud.models.bundle import load_bundle
from fraud.monitoring.ledger import LEDGER_FILE, REPORT_JSON
from fraud.settings import read_settings

DAYS, CHANGE_ON, EVERY, WINDOW = 63, 30, 7, 14
LARGEST = 400_000


def run() -> None:
    """Simulate, monitor, and replace artifacts/monitoring/ as a whole."""
    artifacts = read_settings().models.artifacts
    last_at = str(load_bundle(artifacts).manifest["windows"]["test"]["last_at"])
    start = datetime.fromisoformat(last_at).replace(hour=0, minute=0, second=0) + timedelta(days=1)
    with tempfile.TemporaryDirectory() as scratch:
        played = Path(scratch) / "played"
        os.environ["FRAUD_REGISTRY_DIR"] = str(Path(scratch) / "registry")  # the shipped models, none other
        event = f"new_typology@{CHANGE_ON}"
        _do("simulate-production", "--days", str(DAYS), "--event", event, "--out", str(played))
        for day in range(WINDOW, DAYS + 1, EVERY):
            until = (start + timedelta(days=day)).isoformat()
            _do("monitor", "--simulated", str(played), "--window", f"{WINDOW}d", "--until", until)
        publish(played / "monitoring", artifacts / "monitoring")


def _do(*arguments: str) -> None:
    code = main(list(arguments))
    if code not in (0, 1, 3):
        raise SystemExit(code)


def publish(made: Path, out: Path) -> None:
    """Write a monitoring directory's ledger and newest report to `out`, compact."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for source in (made / LEDGER_FILE, made / "report" / REPORT_JSON):
        document = json.loads(source.read_text(encoding="utf-8"))
        compact = json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"
        (out / source.name).write_text(compact, encoding="utf-8")
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"{size:,} bytes in {out}")
    if size > LARGEST:
        raise SystemExit(f"the example is larger than {LARGEST:,} bytes")


if __name__ == "__main__":
    run()
