"""The requests of the tabs "Scorer" and "Threshold"."""

from typing import Any

from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from blur_jax.label import endpoints
from blur_jax.label.endpoints import endpoint, text
from blur_jax.label.learning import Learning
from blur_jax.label.review import Review
from blur_jax.label.session import Session

# A report holds its own style and pictures, and runs no scripts.
_REPORT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"


def routes(session: Session, learning: Learning) -> list[Route]:
    review = Review(session, learning)

    def overview(_: dict[str, Any]) -> Response:
        return JSONResponse(review.overview())

    def train(_: dict[str, Any]) -> Response:
        learning.train()
        return JSONResponse(learning.training())

    def report(_: dict[str, Any]) -> Response:
        if learning.report is None:
            raise endpoints.Gone("there is no report")
        return FileResponse(learning.report, headers={"content-security-policy": _REPORT_POLICY})

    def threshold(_: dict[str, Any]) -> Response:
        return JSONResponse(review.threshold())

    def judge(fields: dict[str, Any]) -> Response:
        shown = fields.get("picture")
        if not isinstance(shown, dict):
            raise ValueError("picture must be a picture from this page")
        row = endpoints.row(session.photos, shown.get("id"))
        if not session.has(fields.get("id")):
            endpoints.check_version(session.photos.photos[row], shown.get("version"))
        given: dict[str, Any] = {name: fields.get(name) for name in ("id", "annotator", "keep", "ms")}
        review.judge(row=row, **given)
        return JSONResponse(review.threshold())

    def undo(fields: dict[str, Any]) -> Response:
        review.undo(text(fields, "of"))
        return JSONResponse(review.threshold())

    def write(fields: dict[str, Any]) -> Response:
        written = review.write_threshold(fields.get("keep_below"), fields.get("fingerprint"))
        return JSONResponse({"written": written})

    def line(fields: dict[str, Any]) -> Response:
        return JSONResponse(review.line(fields.get("keep_below"), fields.get("fingerprint")))

    return [
        Route("/report", endpoint(report)),
        Route("/api/overview", endpoint(overview)),
        Route("/api/train", endpoint(train), methods=["POST"]),
        Route("/api/threshold", endpoint(threshold)),
        Route("/api/threshold/line", endpoint(line), methods=["POST"]),
        Route("/api/judge", endpoint(judge), methods=["POST"]),
        Route("/api/judge/undo", endpoint(undo), methods=["POST"]),
        Route("/api/threshold/write", endpoint(write), methods=["POST"]),
    ]
