"""The web application behind the page: state, pictures, and what a rater does, for each rater apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from robot_rl.preferences.human.answer import CHOICES
from robot_rl.preferences.human.pictures import Pictures
from robot_rl.preferences.human.session import RaterSession

_PAGE = Path(__file__).with_name("page")
_FILES = ("page.css", "page.js", "icon.svg")
_MOST_BYTES = 4096  # of a request; what the page sends is far shorter


def make_app(
    sessions: Mapping[str, RaterSession], pictures: Pictures, failed: Callable[[Exception], object]
) -> Starlette:
    """Make the application; `scope["rater"]` names whose request it is, `failed` hears of what breaks it."""

    async def act(do: Callable[..., Any], request: Request) -> Response:
        session = sessions[request.scope["rater"]]
        await do(session, await _body(request))
        return JSONResponse(session.state())

    async def state(request: Request) -> Response:
        return JSONResponse(sessions[request.scope["rater"]].state())

    def picture(request: Request) -> Response:
        try:
            data = pictures.png(request.path_params["name"])
        except KeyError:
            raise HTTPException(404) from None
        return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})

    def broken(request: Request, error: Exception) -> Response:
        if not isinstance(error, ClientDisconnect):  # a phone that loses its network breaks nothing here
            failed(error)
        return JSONResponse({"detail": "the program could not do this; it is being ended"}, status_code=500)

    def file(name: str, request: Request) -> Response:
        return FileResponse(_PAGE / name)

    base = "/r/{rater}"
    routes = [Route(f"{base}/", partial(file, "index.html")), Route(f"{base}/state", state)]
    routes += [Route(f"{base}/{name}", partial(file, name)) for name in _FILES]
    routes += [Route(f"{base}/pictures/{{name}}.png", picture)]
    for name, do in (("answer", _answer), ("undo", _undo), ("finish", _finish)):
        routes.append(Route(f"{base}/{name}", partial(act, do), methods=["POST"]))
    return Starlette(routes=routes, exception_handlers={Exception: broken})


async def _answer(session: RaterSession, body: Mapping[str, Any]) -> None:
    """Take an answer; the session decides whether it counts."""
    choice = _field(body, "choice", str)
    if choice not in CHOICES:
        raise HTTPException(400, f"choice: must be one of {', '.join(CHOICES)}")
    key, attempt = _field(body, "key", str), _field(body, "attempt", int)
    try:
        await run_in_threadpool(session.answer, key, attempt, choice, _field(body, "seconds", float))
    except KeyError:
        raise HTTPException(400, "key: is no question of this rater") from None


async def _undo(session: RaterSession, body: Mapping[str, Any]) -> None:
    await run_in_threadpool(session.undo, _field(body, "key", str), _field(body, "attempt", int))


async def _finish(session: RaterSession, body: Mapping[str, Any]) -> None:
    session.finish(_field(body, "finished", bool))


async def _body(request: Request) -> Mapping[str, Any]:
    """Read a small JSON object; raises HTTPException for anything else."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "send application/json")
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MOST_BYTES:
            raise HTTPException(413, f"send at most {_MOST_BYTES} bytes")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise HTTPException(400, "send a JSON object") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "send a JSON object")
    return body


def _field(body: Mapping[str, Any], name: str, kind: type) -> Any:
    """One value of the body, of this type; raises HTTPException."""
    value = body.get(name)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise HTTPException(400, f"{name}: must be of type {kind.__name__}")
    return value
