"""The page's requests: Starlette routes over a `Session`."""

import os
from collections.abc import Callable, Collection
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from blur_jax.data.untrusted import excerpt, read_json, reason
from blur_jax.label import display, features, guard
from blur_jax.label.photos import Photo
from blur_jax.label.questions import Question, Rows
from blur_jax.label.session import Conflict, Session

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_MOST_QUESTIONS = 4
_YEAR = 365 * 24 * 3600


class _Gone(ValueError):
    """A picture was deleted, replaced or never there."""


def create(session: Session, hosts: Collection[str] = guard.LOOPBACK, token: str | None = None) -> Starlette:
    """Returns the application for one folder; for `hosts` and `token`, see `guard.Guard`."""
    routes = [
        *(Route(f"/{name}", _file(name)) for name in ("page.css", "page.js")),
        Route("/", _file("page.html")),
        Route("/picture/{id}/{version}/{view}", _bound(_picture, session)),
        Route("/api/status", _bound(_status, session)),
        Route("/api/questions", _bound(_questions, session)),
        Route("/api/answer", _bound(_answer, session), methods=["POST"]),
        Route("/api/undo", _bound(_undo, session), methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(guard.Guard, hosts=hosts, token=token)],
        max_body_size=guard.LONGEST_BODY,
    )


def _file(name: str) -> Callable[[Request], Response]:
    return lambda request: FileResponse(os.path.join(_FOLDER, name))


def _bound(function: Callable[[Session, dict[str, Any]], Response], session: Session) -> Callable:
    """Returns an endpoint that calls `function` in a thread with the request's fields, and reports its errors."""

    async def endpoint(request: Request) -> Response:
        try:
            fields: Any = dict(request.path_params) | dict(request.query_params)
            if request.method == "POST":
                fields = read_json(await request.body())
                if not isinstance(fields, dict):
                    raise ValueError(f"the body must be a JSON object, not {excerpt(fields)}")
            return await run_in_threadpool(function, session, fields)
        except _Gone as error:
            return JSONResponse({"error": str(error), "kind": "gone"}, 410)
        except Conflict as error:
            return JSONResponse({"error": str(error), "kind": "answered"}, 409)
        except ValueError as error:
            return JSONResponse({"error": reason(error), "kind": "invalid"}, 400)
        except OSError as error:
            return JSONResponse({"error": f"the answer is not stored: {reason(error)}", "kind": "disk"}, 507)

    return endpoint


def _status(session: Session, fields: dict[str, Any]) -> Response:
    return JSONResponse(session.status(_text(fields, "annotator")))


def _questions(session: Session, fields: dict[str, Any]) -> Response:
    """Returns the next `count` questions for a person; `held` lists the pairs that the page already has."""
    ids = [text.split(".") for text in _text(fields, "held").split(",") if text]
    if any(len(pair) != 2 for pair in ids):
        raise ValueError("held must be pairs such as ID.ID,ID.ID")
    held = [(_row(session, left), _row(session, right)) for left, right in ids]
    count = _text(fields, "count") or "1"
    if not count.isdecimal() or not 1 <= int(count) <= _MOST_QUESTIONS:
        raise ValueError(f"count must be a number from 1 to {_MOST_QUESTIONS}")
    found = _present(session, _text(fields, "annotator"), held, int(count))
    return JSONResponse({"questions": [_shown(session, question) for question in found]})


def _present(session: Session, annotator: str, held: list[Rows], count: int) -> list[Question]:
    """Returns questions whose pictures exist; pairs with a deleted picture are passed over."""
    found, tried = [], list(held)
    for _ in range(20):
        for question in session.questions(annotator, tried, count - len(found)):
            tried.append((question.left, question.right))
            photos = (session.photos.photos[row] for row in (question.left, question.right))
            if all(os.path.exists(photo.path) for photo in photos):
                found.append(question)
        if len(found) == count:
            break
    return found


def _answer(session: Session, fields: dict[str, Any]) -> Response:
    """Stores an answer; the response means that it is on disk."""
    shown = fields.get("question")
    if not isinstance(shown, dict):
        raise ValueError("question must be a question from this page")
    sides: dict[str, Any] = {}
    for side in ("left", "right"):
        picture = shown.get(side)
        if not isinstance(picture, dict):
            raise ValueError(f"{side} must be a picture from this page")
        sides[side] = _row(session, picture.get("id"))
    question = Question(**{name: shown.get(name) for name in Question._fields} | sides)
    if not session.has(fields.get("id")):  # The pictures of a repeated request may have changed since.
        for side, row in sides.items():
            _check_version(session.photos.photos[row], shown[side].get("version"))
    given: dict[str, Any] = {name: fields.get(name) for name in ("id", "annotator", "order", "ms")}
    session.answer(question, **given)
    status = session.status(given["annotator"])
    return JSONResponse({"stored": given["id"], "status": status}, background=BackgroundTask(session.update_table))


def _undo(session: Session, fields: dict[str, Any]) -> Response:
    annotator, of = _text(fields, "annotator"), _text(fields, "of")
    question = session.undo(annotator, of)
    shown = _shown(session, question) if question else None
    found = {"question": shown, "status": session.status(annotator)}
    return JSONResponse(found, background=BackgroundTask(session.update_table))


def _picture(session: Session, fields: dict[str, Any]) -> Response:
    photo = session.photos.photos[_row(session, fields["id"])]
    if fields["view"] not in display.VIEWS:
        raise ValueError(f"the view must be one of {', '.join(display.VIEWS)}")
    _check_version(photo, fields["version"])
    try:
        data, kind = display.render(photo, fields["view"])
    except (OSError, ValueError) as error:
        raise _Gone(f"{photo.name}: {reason(error)}") from error
    # The address contains the version, so the browser may keep it.
    return Response(data, media_type=kind, headers={"cache-control": f"private, max-age={_YEAR}, immutable"})


def _row(session: Session, id: Any) -> int:
    row = session.photos.row_of_id.get(id) if isinstance(id, str) else None
    if row is None:
        raise _Gone("this folder has no such picture; reload the page")
    return row


def _check_version(photo: Photo, version: Any) -> None:
    try:
        current = features.version(photo)
    except OSError as error:
        raise _Gone(f"{photo.name} was deleted") from error
    if version != current:
        raise _Gone(f"{photo.name} was replaced while it was shown")


def _shown(session: Session, question: Question) -> dict[str, Any]:
    """Returns a question as JSON values; a picture that was deleted has the version ""."""
    fields: dict[str, Any] = question._asdict()
    for side in ("left", "right"):
        photo = session.photos.photos[fields[side]]
        try:
            version = features.version(photo)
        except OSError:
            version = ""
        fields[side] = {"id": photo.id, "version": version, "name": photo.name}
    return fields


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, not {excerpt(value)}")
    return value
