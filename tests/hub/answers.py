"""How the loopback Hub answers."""

import json
from typing import Any

Answer = tuple[int, dict[str, str], bytes]


def as_json(value: Any, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return 200, {"Content-Type": "application/json"} | named, json.dumps(value).encode()
