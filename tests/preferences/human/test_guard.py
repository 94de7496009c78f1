"""Who gets in: tokens, cookies, Host, Origin, headers, and requests that make no sense."""

import http.client
import logging
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
from robot_rl.errors import BadInput
from robot_rl.preferences.human.pictures import Pictures
from robot_rl.preferences.human.plan import turns_as_given
from robot_rl.preferences.human.service import is_local, serve
from robot_rl.preferences.human.session import RaterSession
from tests.preferences.human.scripted import Client, about
from tests.preferences.human.setup import FRAMES, config, questions


@contextmanager
def served(**changes):
    """Two raters' pages; yields their links."""
    settings, asked, lines = config("anna", "ben", **changes), questions(6), []
    sessions = {name: RaterSession(name, turns_as_given(asked, name, settings)) for name in settings.raters}
    ticks = serve(settings, sessions, Pictures(asked, FRAMES), threading.Event(), lines.append)
    next(ticks)
    try:
        yield dict(line.split(": ", 1) for line in lines)
    finally:
        ticks.close()


@pytest.fixture(scope="module")
def links():
    with served() as found:
        yield found


def get(link, path=None, **headers):
    """One bare request without a cookie: (status, headers)."""
    parts = urlsplit(link)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    connection.request("GET", path or f"{parts.path}?{parts.query}", headers=headers)
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply.status, dict(reply.getheaders())


def test_the_link_opens_the_page_and_leaves_a_strict_cookie_of_its_own_path(links):
    status, headers = get(links["anna"])
    assert status == 200 and headers["content-type"].startswith("text/html")
    cookie = headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/r/anna/" in cookie
    assert f"robot_rl_{urlsplit(links['anna']).port}=" in cookie
    assert len(urlsplit(links["anna"]).query) >= len("token=") + 43


@pytest.mark.parametrize(
    "path",
    ["/", "/favicon.ico", "/r/anna", "/r/anna/", "/r/anna/state", "/r/anna/page.js", "/r/anna/pictures/x.png"]
    + [
        "/r/anna/?token=",
        "/r/anna/?token=wrong",
        "/r/anna/state?token=%C3%A4",
        "/r/nobody/?token=x",
        "/docs",
    ],
)
def test_nothing_is_answered_without_the_token(links, path):
    status, headers = get(links["anna"], path)
    assert status == 403 and "set-cookie" not in headers


def test_one_raters_token_is_not_the_others(links):
    token = urlsplit(links["anna"]).query
    assert get(links["anna"], f"/r/ben/?{token}")[0] == 403
    cookie = Client(links["anna"]).cookie
    assert get(links["anna"], "/r/anna/state", Cookie=cookie)[0] == 200
    assert get(links["anna"], "/r/ben/state", Cookie=cookie)[0] == 403


def test_a_post_without_the_token_changes_nothing(links):
    client = Client(links["anna"])
    question, cookie = client.state()["question"], client.cookie
    body = {**about(question), "choice": "first", "seconds": 1.0}
    client.cookie = ""
    assert client.fetch("answer", "POST", body)[0] == 403
    client.cookie = cookie
    assert client.fetch("answer", "POST", body, Origin="http://evil.example")[0] == 403
    assert client.state()["done"] == 0
    assert client.fetch("answer", "POST", body, Origin=f"http://{client.host}")[0] == 200


def test_another_host_name_is_refused_even_with_the_token(links):
    port = urlsplit(links["anna"]).port
    assert get(links["anna"], Host=f"evil.example:{port}")[0] == 400
    assert get(links["anna"], Host=f"localhost:{port}")[0] == 200
    assert get(links["anna"], Host="127.0.0.1:9999")[0] == 200  # an ssh tunnel from another port


def test_the_headers_keep_the_link_secret_and_foreign_code_out(links):
    for path in (None, "/r/anna/state"):
        _, headers = get(links["anna"], path)
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "server" not in headers


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("answer", {}, 400),
        ("answer", {"key": "x", "attempt": 0, "choice": "third", "seconds": 1.0}, 400),
        ("answer", {"key": "x", "attempt": 0, "choice": "first", "seconds": 1.0}, 400),
        ("answer", {"key": "x", "attempt": True, "choice": "first", "seconds": 1.0}, 400),
        ("answer", [1], 400),
        ("answer", {"key": "x" * 5000}, 413),
        ("finish", {"finished": "yes"}, 400),
        ("nothing", {}, 404),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_and_breaks_nothing(links, name, body, status):
    client = Client(links["ben"])
    assert client.fetch(name, "POST", body)[0] == status
    assert client.fetch("pictures/../../../etc/passwd.png")[0] == 404
    assert client.state()["done"] == 0


def test_a_body_that_is_not_json_is_refused(links):
    client = Client(links["ben"])
    connection = http.client.HTTPConnection(client.host, timeout=20)
    for kind, data, status in (("text/plain", "{}", 415), ("application/json", "{", 400)):
        connection.request("POST", "/r/ben/answer", data, {"Cookie": client.cookie, "Content-Type": kind})
        reply = connection.getresponse()
        reply.read()
        assert reply.status == status
    connection.close()


def test_pictures_may_be_kept_by_the_browser_but_nothing_else(links):
    client = Client(links["ben"])
    name = client.state()["question"]["first"]
    status, headers, data = client.fetch(f"pictures/{name}.png")
    assert (status, headers["content-type"], data[:4]) == (200, "image/png", b"\x89PNG")
    assert headers["cache-control"] == "private, max-age=3600"


def test_every_run_has_new_tokens_and_no_log_shows_them(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with served() as one, served() as other:
        get(one["anna"])
        get(one["anna"], "/r/anna/state?token=wrong-one")
        tokens = {urlsplit(link).query for links in (one, other) for link in links.values()}
    assert len(tokens) == 4
    said = caplog.text + "".join(capfd.readouterr())
    assert not [token for token in (*tokens, "wrong-one") if token.removeprefix("token=") in said]


def test_the_address_must_be_one_of_this_machine_and_the_port_free():
    with served() as found:
        taken = urlsplit(found["anna"]).port
        with (
            pytest.raises(BadInput, match=f"cannot serve at 127.0.0.1:{taken}.*free port"),
            served(port=taken),
        ):
            pass
    with pytest.raises(BadInput, match="cannot serve at 192.0.2.1:0"), served(host="192.0.2.1"):
        pass


def test_a_wildcard_address_is_told_with_a_note_and_takes_any_host_name():
    with served(host="0.0.0.0") as found:
        assert "unencrypted" in found["note"]
        parts = urlsplit(found["anna"])
        assert parts.hostname != "0.0.0.0"
        local = f"http://127.0.0.1:{parts.port}{parts.path}?{parts.query}"
        assert get(local, Host="robot-lab.local")[0] == 200
        assert get(local, "/r/anna/")[0] == 403


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_which_addresses_are_this_machine_alone(host, local):
    assert is_local(host) is local
