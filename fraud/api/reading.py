"""A request's JSON body as a typed object, read once and straight from its bytes."""

from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

Body = TypeVar("Body", bound=BaseModel)


async def read_json(http: Request, model: type[Body]) -> Body:
    """Return the body as `model`.

    Raises
    ------
    HTTPException
        415: it is not said to be JSON. A page elsewhere can make a browser send anything else unasked.
    RequestValidationError
        It is no JSON, or breaks a rule of the model.
    """
    kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise HTTPException(415, "Send the body as application/json")
    try:
        return model.model_validate_json(await http.body())
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in found]) from None
