"""Parts of all endpoints: errors as JSON, fields of a request, and pictures by their opaque ids."""

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from blur_jax.data.untrusted import excerpt, read_json, reason
from blur_jax.label import photos
from blur_jax.label.photos import Photo, Photos
from blur_jax.label.session import Conflict


class Gone(ValueError):
    """A picture was deleted, replaced or never there."""


def endpoint(function: Callable[[dict[str, Any]], Response]) -> Callable:
    """Returns an endpoint that calls `function` in a thread with the request's fields, and reports its errors."""

    async def call(request: Request) -> Response:
        try:
            fields: Any = dict(request.path_params) | dict(request.query_params)
            if request.method == "POST":
                fields = read_json(await request.body())
                if not isinstance(fields, dict):
                    raise ValueError(f"the body must be a JSON object, not {excerpt(fields)}")
            return await run_in_threadpool(function, fields)
        except Gone as error:
            return JSONResponse({"error": str(error), "kind": "gone"}, 410)
        except Conflict as error:
            return JSONResponse({"error": str(error), "kind": "answered"}, 409)
        except ValueError as error:
            return JSONResponse({"error": reason(error), "kind": "invalid"}, 400)
        except OSError as error:
            return JSONResponse({"error": f"the answer is not stored: {reason(error)}", "kind": "disk"}, 507)

    return call


def text(fields: dict[str, Any], name: str) -> str:
    """Returns a text field, "" if it is missing; raises ValueError for another type."""
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, not {excerpt(value)}")
    return value


def row(pictures: Photos, id: Any) -> int:
    """Returns the row of the picture with an id; raises Gone if there is none."""
    found = pictures.row_of_id.get(id) if isinstance(id, str) else None
    if found is None:
        raise Gone("this folder has no such picture; reload the page")
    return found


def check_version(photo: Photo, version: Any) -> None:
    """Raises Gone unless the picture's file is the one that was shown."""
    current = photos.version(photo)
    if not current:
        raise Gone(f"{photo.name} was deleted")
    if version != current:
        raise Gone(f"{photo.name} was replaced while it was shown")
