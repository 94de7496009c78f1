"""Serves the page from a thread of its own until the raters are done, while the caller stores answers."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from robot_rl.errors import BadInput, RobotRLError, need, need_installed
from robot_rl.preferences.human.config import HumanConfig
from robot_rl.preferences.human.pictures import Pictures
from robot_rl.preferences.human.session import RaterSession

EXTRA = "human"
_TICK = 0.2  # s between two looks at what was answered
_OPEN_NOTE = (
    "note: the page is sent unencrypted, and whoever has a link can rate; use it on a network you trust"
)


def check_installed() -> None:
    """Raise BadInput, naming the extra, where the packages for serving are missing."""
    for module in ("starlette", "uvicorn"):
        need_installed(module, EXTRA)


def serve(
    config: HumanConfig,
    sessions: Mapping[str, RaterSession],
    pictures: Pictures,
    changed: threading.Event,
    announce: Callable[[str], object],
) -> Iterator[None]:
    """Serve until every rater is done; yields whenever there may be new answers, a few times a second.

    `announce` is told one link a rater. `changed` is set by the sessions. Raises BadInput for an address
    that cannot be served at, and what broke the service, if anything did, so that nobody rates in vain.
    """
    broken: list[Exception] = []
    served = partial(_served, config.host, sessions, pictures, broken.append)
    with _listening(config) as listener, served(listener) as paths:
        for rater, path in paths.items():
            announce(f"{rater}: http://{_netloc(config.host, listener)}{path}")
        if not is_local(config.host):
            announce(_OPEN_NOTE)
        while not all(session.over(config.grace) for session in sessions.values()):
            if broken:
                raise _explained(broken[0])
            changed.wait(_TICK)
            changed.clear()
            yield


def _explained(error: Exception) -> Exception:
    """What the user is told of what broke the service: one line in any case."""
    if isinstance(error, RobotRLError):
        return error
    made = RobotRLError(f"the rating page had to be taken down: {type(error).__name__}: {error}")
    made.__cause__ = error
    return made


def is_local(host: str) -> bool:
    """Whether an address to serve at is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _listening(config: HumanConfig) -> socket.socket:
    """Open the port, before anything else is started; raises BadInput."""
    host = config.host.strip("[]")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        raise BadInput(
            f"host, port: cannot serve at {config.host}:{config.port} ({error.strerror or error}); "
            "give an address of this machine, such as 127.0.0.1 or 0.0.0.0, and a free port, or port 0"
        ) from error


@contextlib.contextmanager
def _served(
    host: str,
    sessions: Mapping[str, RaterSession],
    pictures: Pictures,
    failed: Callable[[Exception], object],
    listener: socket.socket,
) -> Iterator[dict[str, str]]:
    """Serve in a thread; yields each rater's secret path. No answer is taken any more when it has ended."""
    from robot_rl.preferences.human.app import make_app
    from robot_rl.preferences.human.guard import Guard

    uvicorn = need("uvicorn", EXTRA)
    guard = Guard(make_app(sessions, pictures, failed), sessions, listener.getsockname()[1])
    app = _local_only(guard, host) if is_local(host) else guard
    settings = {"lifespan": "off", "ws": "none", "http": "h11", "loop": "asyncio"}
    # No log at all: uvicorn's would show the links' tokens; what breaks is told to `failed`.
    settings |= {"access_log": False, "log_config": None, "log_level": "critical"}
    settings |= {"proxy_headers": False, "server_header": False, "timeout_graceful_shutdown": 3}
    server = uvicorn.Server(uvicorn.Config(app, **settings))

    def run() -> None:
        try:
            server.run(sockets=[listener])
        except Exception as error:  # the raters would see a dead page, and nobody would know why
            failed(error)

    thread = threading.Thread(target=run, name="rating page", daemon=True)
    thread.start()
    try:
        yield {rater: guard.path(rater) for rater in sessions}
    finally:
        server.should_exit = True
        thread.join()


def _local_only(app: Callable, host: str) -> Callable:
    """Refuse requests under other names: a page elsewhere could make its own name point to this machine."""
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    names = ["localhost", "127.0.0.1", "[::1]", host, f"[{host}]"]
    return TrustedHostMiddleware(app, allowed_hosts=names, www_redirect=False)


def _netloc(host: str, listener: socket.socket) -> str:
    """The host and port of the links; a wildcard address is told as the one that others reach us by."""
    port = listener.getsockname()[1]
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host.strip("[]")).is_unspecified:
            host = _outward_address()
    host = host.strip("[]")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _outward_address() -> str:
    """This machine's address on its network, or its name where it has none; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address: only the route to it is looked up
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()
