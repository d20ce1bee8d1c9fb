"""Ask for known vulnerabilities of what requirements.lock.txt names; `make audit`.

    python tools/audit.py [lock file]

Exit codes: 0 nothing known, 1 vulnerabilities, 3 not audited. pip-audit calls a package that its source knows
nothing of "skipped" and ends with 0, also where the source knows nothing of any package, as behind a mirror
that has no advisories. So what was skipped is counted here, and an audit of nothing is none.
"""

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock.txt"
MOST_SKIPPED = 0.05
FOUND, NOT_AUDITED = 1, 3


def main(lock: Path) -> int:
    """Audit a lock file; print what was found and return the exit code."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--no-deps", "--disable-pip"]
    run = subprocess.run([*command, "--format", "json"], capture_output=True, text=True)
    try:
        packages = json.loads(run.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (run.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        print(f"not audited: the source of advisories cannot be asked from here ({reason[:200]})")
        return NOT_AUDITED
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if len(skipped) > MOST_SKIPPED * len(packages):
        print(
            f"not audited: the source of advisories knows {len(packages) - len(skipped)} of {len(packages)} "
            "packages; run this where pypi.org or osv.dev can be reached"
        )
        return NOT_AUDITED
    found = [(package, known) for package in packages for known in package.get("vulns", ())]
    for package, known in found:
        fixed = ", ".join(known["fix_versions"]) or "nothing yet"
        print(f"{package['name']} {package['version']}: {known['id']}, fixed in {fixed}")
    print(f"{len(packages) - len(skipped)} packages audited, {len(found)} known vulnerabilities")
    if skipped:
        print(f"not known to the source: {', '.join(skipped)}")
    return FOUND if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else LOCK))
