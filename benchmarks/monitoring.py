"""Everything that is measured of monitoring: one entry point, and how to repeat it.

    python3.11 -m venv /tmp/evidently && /tmp/evidently/bin/pip install evidently 'pandas<3' pyarrow
    python3.11 -m venv /tmp/nannyml && /tmp/nannyml/bin/pip install nannyml statsmodels 'pandas<3' pyarrow
    python -m benchmarks.monitoring --evidently /tmp/evidently/bin/python --nannyml /tmp/nannyml/bin/python

Peers have environments of their own, because evidently 0.7 does not import beside pandas 3 and NannyML 0.13
does not without statsmodels; they run in processes of their own, on Parquet files that are written here, and
without their interpreters they are left out. All of it takes hours; `--only` chooses parts, and prints the
tables of each as they are filled:

- `drift`: time, memory, false alarms and power by column (`benchmarks.monitoring_drift`)
- `product`: time and memory of the whole `fraud monitor` on a log of a million predictions
  (`benchmarks.monitoring_product`)
- `performance`: coverage of intervals, sharpness of the audit, the gap alarm, segments
  (`benchmarks.monitoring_performance`)
- `answers`: what wrong answers do to F1 and to the gap alarm (`benchmarks.monitoring_answers`)
- `concept`: false alarms and days until a new typology is told, with people as they are
  (`benchmarks.monitoring_concept`)
- `power`: days from an injected change in simulated production until it is told
  (`benchmarks.monitoring_power`)

Tables that were printed are in benchmarks/results/monitoring_{drift,performance,answers,power}.md, those of
`concept` with the power.
`performance`, `answers` and `power` need a trained bundle: the shipped one, or for `power` one by
`python -m fraud train --out DIR`.
"""

import argparse
import subprocess
import sys
from pathlib import Path

PARTS = ("drift", "product", "performance", "answers", "concept", "power")


def commands(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return each part's arguments."""
    peers = [f"--{t}={getattr(options, t)}" for t in ("evidently", "nannyml") if getattr(options, t)]
    windows = f"--windows={options.windows}"
    return {
        "drift": [f"--rows={options.rows}", windows, *peers],
        "product": [f"--rows={options.rows}"],
        "performance": [windows],
        "answers": [windows],
        "concept": [f"--seeds={options.seeds}"],
        "power": [f"--seeds={options.seeds}", f"--bundle={options.bundle}", *peers],
    }


def main() -> int:
    """Run the parts one after the other; return how many failed."""
    parser = argparse.ArgumentParser(description="Print the tables of monitoring's benchmarks.")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--evidently", default="", metavar="PYTHON", help="an interpreter with evidently")
    parser.add_argument("--nannyml", default="", metavar="PYTHON", help="an interpreter with NannyML")
    parser.add_argument("--bundle", type=Path, default=Path("artifacts"), help="the champion of `power`")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of `drift` and `product`")
    parser.add_argument("--windows", type=int, default=500, help="of `drift`, `performance` and `answers`")
    parser.add_argument("--seeds", type=int, default=2, help="of `concept` and `power`")
    options = parser.parse_args()
    chosen = options.only.split(",")
    unknown = set(chosen) - set(PARTS)
    if unknown:
        parser.error(f"--only knows {', '.join(PARTS)}, and not {', '.join(sorted(unknown))}")
    # Each in a process of its own: peak memory is measured, and no part may count what another one left.
    failed = 0
    for part, arguments in commands(options).items():
        if part in chosen:
            sys.stdout.flush()
            command = [sys.executable, "-m", f"benchmarks.monitoring_{part}", *arguments]
            failed += subprocess.run(command, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
