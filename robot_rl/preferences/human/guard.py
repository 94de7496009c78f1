"""Lets only holders of a rater's link in, and puts the headers on every reply that keep the link secret.

The link's token comes as ?token=... once and is kept in a cookie; the page takes it out of the address bar.
A redirect would do that too, but there browsers hold a Strict cookie back when the link was in a mail.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PATH = re.compile(r"/r/([^/]+)/")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_REFUSED = "This link is not valid, or no longer: open the link that robot-rl printed at its last start."


class Guard:
    """Wraps the app: refuses, with 403, each request without the token of the rater that its path names."""

    def __init__(self, app: ASGIApp, raters: Iterable[str], port: int) -> None:
        self._app = app
        self._tokens = {rater: secrets.token_urlsafe(32) for rater in raters}
        # Cookies do not tell ports apart, so that a second run beside this one would overwrite ours.
        self._cookie = f"robot_rl_{port}"

    def path(self, rater: str) -> str:
        """The secret path, with its query, of a rater's page."""
        return f"/r/{rater}/?token={self._tokens[rater]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        app: ASGIApp | Response = PlainTextResponse(_REFUSED, status_code=403)
        rater = self._rater(request)
        if rater is not None and _same_origin(request):
            scope["rater"] = rater
            app = self._app
            if "token" in request.query_params:
                app = self._with_cookie(rater)
        await app(scope, receive, send_with_headers)

    def _rater(self, request: Request) -> str | None:
        """Whose token, by query or cookie, the request carries; None where it is not that of its path."""
        match = _PATH.match(request.url.path)
        rater = match[1] if match else ""
        expected = self._tokens.get(rater) or secrets.token_urlsafe(32)
        given = request.query_params.get("token") or request.cookies.get(self._cookie) or ""
        return rater if hmac.compare_digest(given.encode(), expected.encode()) else None

    def _with_cookie(self, rater: str) -> ASGIApp:
        """The app, whose reply also sets the rater's cookie; its path keeps raters in one browser apart."""
        made = Response()
        made.set_cookie(
            self._cookie, self._tokens[rater], path=f"/r/{rater}/", httponly=True, samesite="strict"
        )
        cookie = made.headers["set-cookie"]

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            async def send_with_cookie(message: Message) -> None:
                if message["type"] == "http.response.start":
                    MutableHeaders(scope=message).append("set-cookie", cookie)
                await send(message)

            await self._app(scope, receive, send_with_cookie)

        return app


def _same_origin(request: Request) -> bool:
    """Whether a request is our page's; browsers name the origin of all that could change anything."""
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")
