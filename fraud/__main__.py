"""`python -m fraud`."""

import sys
import traceback


def _run() -> int:
    try:
        from fraud.cli import main

        return main()
    except Exception:
        # Python's own exit code for a defect is 1, which schedules would take for a refusal by the gate.
        traceback.print_exc()
        return 2


sys.exit(_run())
