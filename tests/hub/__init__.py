"""A Hub on loopback for tests: the routes that its client library calls, with faults on demand."""

import os

# Read when the client library is imported: no other transfer protocol, no telemetry, no waiting for updates.
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.pop("HF_HUB_OFFLINE", None)
