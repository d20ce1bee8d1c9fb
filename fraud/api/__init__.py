"""The REST routes: convert, call one service method, present; one module for each family of routes."""

from fraud.api.application import build_api
from fraud.api.body_limit import MAX_BATCH_BYTES, MAX_BODY_BYTES

__all__ = ["MAX_BATCH_BYTES", "MAX_BODY_BYTES", "build_api"]
