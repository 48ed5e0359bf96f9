"""Refuses requests that do not come from the page itself, and forbids the page to load anything else.

A browser sends requests to 127.0.0.1 for any page that the person visits. Such a page can name a host of its own that
resolves to 127.0.0.1 (DNS rebinding), or send a form (CSRF), so Host, Origin and Sec-Fetch-Site are checked.
"""

import hmac
import ipaddress
import re
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_BODY = 1 << 16  # Bytes.
COOKIE = "blur_jax_token"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Wraps an application; checks every request and adds headers to every response."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], token: str | None = None) -> None:
        """Wraps `app`.

        Args:
            app: the application.
            hosts: the allowed host names in the Host header; empty allows all, which requires a token. Any port is
                allowed, since another machine may forward one.
            token: a secret that the first address contains; None if only this machine can connect.
        """
        if not hosts and token is None:
            raise ValueError("a server for all hosts needs a token")
        self._app, self._hosts, self._token = app, hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # There are no WebSockets here.
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer: ASGIApp = self._refusal(scope) or self._app
        await answer(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """Returns the response to a request that must not reach the application, or None."""
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        host = headers.get("host", "")
        if self._hosts and re.sub(r":\d+$", "", host) not in self._hosts:
            return _refuse(403, "the Host header is not this page's address")
        if self._token is not None and not self._knows_token(headers):
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if method == "GET" and path == "/" and _equal(given, self._token):
                response = RedirectResponse("/", 303)
                response.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
                return response
            return _refuse(403, "open the address that the program printed, which contains a token")
        if path != "/" and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _refuse(403, "the request comes from another page")
        if method in ("GET", "HEAD"):
            return None
        if headers.get("origin") != f"{scope['scheme']}://{host}":
            return _refuse(403, "the Origin header is not this page's address")
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refuse(415, "the body must be application/json")
        return None

    def _knows_token(self, headers: Headers) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and self._token is not None and _equal(cookie.value, self._token)


def is_loopback(host: str) -> bool:
    """Returns whether only this machine can connect to a host that a server listens on."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _equal(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())


def _refuse(status: int, reason: str) -> Response:
    return JSONResponse({"error": reason}, status)
