"""What stands before every route, outermost last: limits, keys, other origins, headers."""

import secrets
from collections.abc import Mapping

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from fraud.api.body_limit import BodyLimit, Lane
from fraud.api.headers import SecurityHeaders
from fraud.api.keys import Gate
from fraud.settings_api import ApiSettings

OPEN = ApiSettings()
"""No key, no limit of requests, and no other origin."""


def add_protection(app: FastAPI, lanes: Mapping[str, Lane], settings: ApiSettings) -> None:
    """Put the protection around an application's routes, those that are still to come included."""
    app.add_middleware(BodyLimit, lanes=lanes)
    app.add_middleware(
        Gate, digests=settings.key_digests, limit=settings.request_limit, place=secrets.token_bytes(16)
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type", "Idempotency-Key"),
            expose_headers=("Retry-After",),
            max_age=600,
        )
    app.add_middleware(SecurityHeaders, framed_by=settings.framed_by)
