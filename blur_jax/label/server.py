"""The page's requests: Starlette routes over a `Session`."""

import functools
import os
from collections.abc import Callable, Collection
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from blur_jax.data.untrusted import reason
from blur_jax.label import display, guard, photos, review_routes
from blur_jax.label.endpoints import Gone, check_version, endpoint, row, text
from blur_jax.label.learning import Learning
from blur_jax.label.questions import Question, Rows
from blur_jax.label.session import Session

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_MOST_QUESTIONS = 4
_YEAR = 365 * 24 * 3600


def create(
    session: Session, learning: Learning, hosts: Collection[str] = guard.LOOPBACK, token: str | None = None
) -> Starlette:
    """Returns the application for one folder; for `hosts` and `token`, see `guard.Guard`."""
    compare = {
        "/picture/{id}/{version}/{view}": (_picture, "GET"),
        "/api/status": (_status, "GET"),
        "/api/questions": (_questions, "GET"),
        "/api/answer": (_answer, "POST"),
        "/api/undo": (_undo, "POST"),
    }
    routes = [
        Route("/", _file("page.html")),
        *(Route(f"/{name}", _file(name)) for name in ("page.css", "page.js", "review.js")),
        Route("/favicon.ico", lambda request: Response(status_code=204)),  # Browsers ask for it.
        *(
            Route(path, endpoint(functools.partial(function, session)), methods=[method])
            for path, (function, method) in compare.items()
        ),
        *review_routes.routes(session, learning),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(guard.Guard, hosts=hosts, token=token)],
        max_body_size=guard.LONGEST_BODY,
    )


def _file(name: str) -> Callable[[Request], Response]:
    return lambda request: FileResponse(os.path.join(_FOLDER, name))


def _status(session: Session, fields: dict[str, Any]) -> Response:
    return JSONResponse(session.status(text(fields, "annotator")))


def _questions(session: Session, fields: dict[str, Any]) -> Response:
    """Returns the next `count` questions for a person; `held` lists the pairs that the page already has."""
    ids = [text.split(".") for text in text(fields, "held").split(",") if text]
    if any(len(pair) != 2 for pair in ids):
        raise ValueError("held must be pairs such as ID.ID,ID.ID")
    held = [(row(session.photos, left), row(session.photos, right)) for left, right in ids]
    count = text(fields, "count") or "1"
    if not count.isdecimal() or not 1 <= int(count) <= _MOST_QUESTIONS:
        raise ValueError(f"count must be a number from 1 to {_MOST_QUESTIONS}")
    found = _present(session, text(fields, "annotator"), held, int(count))
    return JSONResponse({"questions": [_shown(session, question) for question in found]})


def _present(session: Session, annotator: str, held: list[Rows], count: int) -> list[Question]:
    """Returns questions whose pictures exist; pairs with a deleted picture are passed over."""
    found, tried = [], list(held)
    for _ in range(20):
        for question in session.questions(annotator, tried, count - len(found)):
            tried.append((question.left, question.right))
            paths = (session.photos.photos[row].path for row in (question.left, question.right))
            if all(map(os.path.exists, paths)):
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
        sides[side] = row(session.photos, picture.get("id"))
    question = Question(**{name: shown.get(name) for name in Question._fields} | sides)
    if not session.has(fields.get("id")):  # The pictures of a repeated request may have changed since.
        for side, place in sides.items():
            check_version(session.photos.photos[place], shown[side].get("version"))
    given: dict[str, Any] = {name: fields.get(name) for name in ("id", "annotator", "order", "ms", "sure")}
    session.answer(question, **given)
    status = session.status(given["annotator"])
    return JSONResponse({"stored": given["id"], "status": status}, background=BackgroundTask(session.update_table))


def _undo(session: Session, fields: dict[str, Any]) -> Response:
    annotator, of = text(fields, "annotator"), text(fields, "of")
    question = session.undo(annotator, of)
    shown = _shown(session, question) if question else None
    found = {"question": shown, "status": session.status(annotator)}
    return JSONResponse(found, background=BackgroundTask(session.update_table))


def _picture(session: Session, fields: dict[str, Any]) -> Response:
    photo = session.photos.photos[row(session.photos, fields["id"])]
    if fields["view"] not in display.VIEWS:
        raise ValueError(f"the view must be one of {', '.join(display.VIEWS)}")
    check_version(photo, fields["version"])
    try:
        data, kind = display.render(photo, fields["view"])
    except (OSError, ValueError) as error:
        raise Gone(f"{photo.name}: {reason(error)}") from error
    # The address contains the version, so the browser may keep it.
    return Response(data, media_type=kind, headers={"cache-control": f"private, max-age={_YEAR}, immutable"})


def _shown(session: Session, question: Question) -> dict[str, Any]:
    sides = {side: photos.to_json(session.photos.photos[getattr(question, side)]) for side in ("left", "right")}
    return question._asdict() | sides
