"""What a process writes to its log, and how."""

import logging

_CHATTY = ("httpx", "httpx2")
"""They log every request."""


def start_logging() -> None:
    """Log from here on: time, level, place, message."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for client in _CHATTY:
        logging.getLogger(client).setLevel(logging.WARNING)
