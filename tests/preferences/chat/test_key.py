"""The API key: where it goes, and that it shows nowhere else."""

import io
import logging
import pickle
import traceback

import pytest

from robot_rl.errors import BadInput
from robot_rl.preferences.chat import client as client_module
from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.key import ApiKey
from robot_rl.preferences.chat.labeler import ChatLabeler
from robot_rl.preferences.run import label_pairs
from robot_rl.preferences.store import LabelStore
from tests.preferences.chat.setup import FRAMES, config, questions
from tests.preferences.chat_server import KEY, chat_server

VARIABLE = "TEST_CHAT_KEY"


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv(VARIABLE, KEY + "\n")
    return KEY


def everything_said(error: BaseException) -> str:
    """An error with all it drags along, local variables of every frame included."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(whole.format()) + repr(error) + str(error)


def test_the_key_goes_into_the_header_alone(key, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "labels.sqlite"
    with chat_server(key=KEY) as server, LabelStore(path) as store:
        labeler = ChatLabeler(config(server, api_key_env=VARIABLE))
        label_pairs(labeler, questions(), FRAMES, store)
        assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
        assert KEY not in str(server.requests)
    shown = [
        labeler,
        labeler.__dict__,
        labeler.setup,
        labeler.identity,
        labeler.config,
        vars(labeler.setup.key),
    ]
    assert KEY not in str(shown) and KEY not in repr(shown)
    assert KEY not in pickle.dumps((labeler.setup.key, labeler.config)).decode("latin1")
    assert KEY not in caplog.text
    for file in tmp_path.iterdir():
        assert KEY.encode() not in file.read_bytes()


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    "behaviour",
    [
        {"key": "sk-another"},  # this server repeats the wrong key in its error
        {"page": "redirect"},
        {"page": "html"},
        {"page": "broken"},
        {"page": "not_chat"},
        {"models": ()},
    ],
)
def test_no_error_shows_the_key(caplog, behaviour):
    caplog.set_level(logging.DEBUG)
    with chat_server(**behaviour) as server:
        labeler = ChatLabeler(config(server, api_key_env=VARIABLE, retries=1))
        with pytest.raises(BadInput) as caught:
            list(labeler.label(questions(), FRAMES))
    assert KEY not in everything_said(caught.value)
    assert "\n" not in str(caught.value)
    assert KEY not in caplog.text


@pytest.mark.usefixtures("key")
def test_no_traceback_of_a_fault_in_the_http_library_shows_the_key(monkeypatch):
    """Frames below hold the header as bytes; they must not travel up with an exception."""
    import httpcore2

    def explode(self, request):
        raise RuntimeError(f"a bug with {dict(request.headers)[b'Authorization']!r}")

    monkeypatch.setattr(httpcore2.AsyncConnectionPool, "handle_async_request", explode)
    labeler = ChatLabeler(ChatConfig("http://127.0.0.1:1/v1", "toy", api_key_env=VARIABLE, retries=0))
    with pytest.raises(BadInput, match=r"RuntimeError: a bug with b'Bearer \[key\]'") as caught:
        labeler.probe()
    assert KEY not in everything_said(caught.value)


@pytest.mark.usefixtures("key")
def test_no_traceback_of_our_own_fault_shows_the_key(monkeypatch):
    def explode(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(client_module.ChatClient, "_judge", explode)
    with chat_server() as server:
        labeler = ChatLabeler(config(server, api_key_env=VARIABLE, retries=0))
        with pytest.raises(RuntimeError) as caught:
            labeler.probe()
    assert KEY not in everything_said(caught.value)


def test_a_server_that_repeats_the_key_in_an_answer(key, monkeypatch, tmp_path):
    with chat_server() as server, LabelStore(tmp_path / "labels.sqlite") as store:
        completion = server._completion

        def repeating(text, content, p=0.5):
            return completion(text.replace("against", f"{KEY} against"), content, p)

        server._completion = repeating
        given = label_pairs(ChatLabeler(config(server, api_key_env=VARIABLE)), questions(), FRAMES, store)
    assert KEY not in str(given)
    assert "[key] against" in given[0].rationale


def test_a_redirect_is_not_followed(key):
    with chat_server() as other, chat_server(page="redirect", redirect_to=other.url) as server:
        labeler = ChatLabeler(config(server, api_key_env=VARIABLE))
        with pytest.raises(BadInput, match=f"a redirect to 127.0.0.1:{other.port}, which is not followed"):
            labeler.probe()
        assert other.calls == 0 and other.headers == []


def test_a_proxy_of_the_environment_sees_nothing_that_goes_to_this_machine(key, monkeypatch):
    with chat_server(page="html") as proxy, chat_server(key=KEY) as server:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        ChatLabeler(config(server, api_key_env=VARIABLE)).probe()
        assert proxy.calls == 0 and server.calls == 1


@pytest.mark.parametrize(
    "url", ["http://192.168.1.5:8000/v1", "http://example.com/v1", "http://localhost.evil.com"]
)
def test_the_key_goes_over_https_or_to_this_machine_alone(key, url):
    with pytest.raises(BadInput, match="would carry the key of api_key_env unencrypted; use https"):
        ChatConfig(url, "toy", api_key_env=VARIABLE)
    ChatConfig(url, "toy")
    ChatConfig(url.replace("http:", "https:"), "toy", api_key_env=VARIABLE)


@pytest.mark.parametrize("url", ["http://localhost:1/v1", "http://127.9.9.9/v1", "http://[::1]:8000/v1"])
def test_this_machine(key, url):
    assert ChatConfig(url, "toy", api_key_env=VARIABLE).loopback


@pytest.mark.parametrize("pasted", [KEY, "gsk_abc", "Bearer x", "9KEY"])
def test_a_key_in_place_of_its_variable_is_refused_and_not_repeated(pasted):
    with pytest.raises(BadInput, match="never the key itself") as caught:
        ChatLabeler(ChatConfig("https://example.com/v1", "toy", api_key_env=pasted))
    assert pasted not in str(caught.value)


@pytest.mark.parametrize("url", [f"https://user:{KEY}@example.com/v1", f"https://example.com/v1?key={KEY}"])
def test_a_key_in_the_address_is_refused_and_not_repeated(url):
    with pytest.raises(BadInput, match="a key belongs into an environment variable") as caught:
        ChatConfig(url, "toy")
    assert KEY not in str(caught.value)


def test_variables_that_are_not_set_or_hold_no_key(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(BadInput, match=f"the environment variable {VARIABLE} is not set"):
        ApiKey(VARIABLE)
    for value in ("two words", "n\u00f6", "a\nb"):
        monkeypatch.setenv(VARIABLE, value)
        with pytest.raises(BadInput, match="that no key has") as caught:
            ApiKey(VARIABLE)
        assert value not in str(caught.value)
    assert not ApiKey("") and ApiKey("").hide("text") == "text"


def test_a_handler_of_all_logs_sees_no_key(key):
    """Also where a program sets the library's loggers to write everything."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    loggers = [logging.getLogger(name) for name in ("", "httpx2", "httpcore2", "asyncio")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    try:
        with chat_server(key=KEY, faults={"busy": 0.5}) as server:
            list(ChatLabeler(config(server, api_key_env=VARIABLE)).label(questions(), FRAMES))
    finally:
        logging.getLogger().removeHandler(handler)
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
    assert "POST" in stream.getvalue()
    assert KEY not in stream.getvalue()
