"""What no route can state for itself in the OpenAPI document: errors, keys, bodies read from their bytes."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

_PROBLEM = "application/problem+json"
_ERRORS = {
    "400": "The body is not even text.",
    "401": "A key is needed, and none that is known came with the request.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is of a kind that this route does not read.",
    "422": "The request breaks a rule; `problems` names the fields.",
    "429": "Too much at once, or too often: wait as long as Retry-After says.",
    "503": "Something that is needed is out of reach for now.",
}
_BODILESS = ("401", "422", "429", "503")
"""What may come of a request without a body."""


class FieldProblem(BaseModel):
    """One field at fault."""

    field: str | None
    code: str
    detail: str


class ProblemDetails(BaseModel):
    """An error as RFC 9457 problem details."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["Amount (amount) must be at least 0.01, and -1 is below it."])
    code: str = Field(description="The rule's name, for programs.", examples=["below_minimum"])
    problems: list[FieldProblem] | None = None


def complete_documentation(app: FastAPI, bodies: Sequence[type[BaseModel]], keyed: bool) -> None:
    """Make the application's OpenAPI document whole; call it once every route is there.

    Parameters
    ----------
    bodies : models that routes refer to and read by themselves
    keyed : whether /v1/ asks for a key
    """
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            models: list[type[BaseModel]] = [*bodies, ProblemDetails]
            for model in models:
                schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas.update(schema.pop("$defs", {}))
                schemas[model.__name__] = schema
            if keyed:
                document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    _complete(operation, path, keyed)
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(operation: dict[str, Any], path: str, keyed: bool) -> None:
    if not path.startswith("/v1/"):
        return
    if keyed:
        operation["security"] = [{"key": []}]
    content = {_PROBLEM: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    for status in _ERRORS if "requestBody" in operation else _BODILESS:
        operation["responses"][status] = {"description": _ERRORS[status], "content": content}
    if "{" in path or operation.get("requestBody"):
        operation["responses"]["404"] = {
            "description": "What is named is not known here.",
            "content": content,
        }


def body_of(model: type[BaseModel], example: object) -> dict[str, Any]:
    """Return `openapi_extra` of a route that reads `model` by itself."""
    content = {
        "schema": {"$ref": f"#/components/schemas/{model.__name__}"},
        "example": example,
    }
    return {"requestBody": {"required": True, "content": {"application/json": content}}}
