"""Ask the process in this container how it is: `python healthy.py [/readyz]`; exit code 0 if well, else 1."""

import os
import sys
import urllib.error
import urllib.request


def main(path: str) -> int:
    """Return 0 if the process answers with 200."""
    address = f"http://127.0.0.1:{int(os.environ.get('FRAUD_PORT', '7860'))}{path}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(address, timeout=4) as answer:
            return 0 if answer.status == 200 else 1
    except (urllib.error.URLError, OSError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "/readyz"))
