"""The test question: what an endpoint can do, and one line for each thing that can be wrong with it."""

import socket

import pytest

from robot_rl.errors import BadInput
from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.labeler import ChatLabeler
from robot_rl.preferences.run import label_pairs
from robot_rl.preferences.store import LabelStore
from tests.preferences.chat.setup import FRAMES, config, questions
from tests.preferences.chat_server import chat_server


def sent_after_probe(server, **changes):
    """The body of a real question."""
    labeler = ChatLabeler(config(server, **changes))
    next(iter(labeler.label(questions()[:1], FRAMES)))
    return server.requests[-1]


def test_a_server_that_keeps_to_a_schema_and_tells_log_probabilities():
    with chat_server(logprobs=True) as server:
        body = sent_after_probe(server, detail="low")
        assert server.calls == 2
    assert body["response_format"]["json_schema"]["schema"]["properties"]["choice"]["enum"][0] == "first"
    assert body["logprobs"] is True and body["top_logprobs"] == 5
    assert (body["temperature"], body["max_tokens"]) == (0.0, 1000)
    assert {p["image_url"]["detail"] for p in body["messages"][0]["content"] if "image_url" in p} == {"low"}


def test_a_server_that_ignores_the_schema_is_not_asked_for_it():
    with chat_server(schema=False) as server:
        body = sent_after_probe(server)
        assert server.calls == 2
    assert "response_format" not in body and "logprobs" not in body


@pytest.mark.parametrize("field", ["response_format", "logprobs", "max_tokens"])
def test_a_server_that_refuses_a_field_is_not_sent_it(field):
    with chat_server(rejects=(field,), logprobs=True) as server:
        body = sent_after_probe(server)
        assert server.calls == 3
    assert field not in body
    others = {"response_format", "logprobs", "max_tokens"} - {field}
    assert others <= set(body)
    assert ("max_completion_tokens" in body) == (field == "max_tokens")


def test_settings_leave_fields_out_from_the_start():
    with chat_server(logprobs=True) as server:
        sent_after_probe(server, structured="never", logprobs="never", temperature=None)
        for body in server.requests:
            assert not {"response_format", "logprobs", "temperature", "detail"} & set(body)


def test_the_test_question_holds_no_frame_of_the_user():
    with chat_server() as server:
        ChatLabeler(config(server)).probe()
        text = str(server.requests)
    assert "open the drawer" not in text and server.questions == []


def test_it_is_asked_once():
    with chat_server() as server:
        labeler = ChatLabeler(config(server))
        assert labeler.probe() == labeler.probe() == ()
        assert server.calls == 1


def test_a_model_that_does_not_see_is_noted(monkeypatch):
    monkeypatch.setattr("tests.preferences.chat_server._brightness", lambda uri: 100.0)
    with chat_server() as server:
        notes = ChatLabeler(config(server)).probe()
    assert len(notes) == 1 and "did not tell a white picture from a black one" in notes[0]


def test_a_server_without_token_counts_is_noted_where_a_budget_needs_them():
    with chat_server(usage=False) as server:
        assert ChatLabeler(config(server)).probe() == ()
        notes = ChatLabeler(config(server, budget_tokens=10**6)).probe()
    assert len(notes) == 1 and "does not say what a call takes" in notes[0]


@pytest.mark.parametrize(
    ("behaviour", "settings", "message"),
    [
        (
            {"page": "html"},
            {},
            "answers HTTP 200 with a web page in place of an answer; .* mostly ends in /v1",
        ),
        (
            {"page": "no_vision"},
            {},
            "model 'toy' takes no pictures .*does not support image input.; choose one",
        ),
        ({"page": "not_chat"}, {}, "gave no usable answer to a test question|with no chat completion"),
        ({"page": "broken"}, {}, "cannot be reached .*; is the server running"),
        ({"page": "busy"}, {}, "HTTP 429: slow down, 3 tries; wait, or look at the limits"),
        ({"page": "busy", "retry_after": "999"}, {}, "HTTP 429: slow down .it asks to wait 999 s.; wait"),
        ({"page": "trickle"}, {"timeout": 0.2}, "timed out after 0.2 s, 2 tries; is the model still loading"),
        (
            {"page": "redirect"},
            {},
            "a redirect to 127.0.0.2:9, which is not followed; give the final address",
        ),
        ({"key": "sk-x"}, {}, "HTTP 401, it does not accept a request without a key; name its variable"),
        ({}, {"model": "tyo"}, "has no model 'tyo' .*does not exist.. It offers toy, toy-mini"),
        ({"rejects": ("temperature",)}, {}, "'temperature'.; leave temperature out"),
        ({"rejects": ("messages",)}, {}, "HTTP 400: Unsupported parameter: 'messages'"),
        ({"faults": {}}, {"url": "{url}/nowhere"}, "HTTP 404: Not Found; nothing there takes chats"),
    ],
)
def test_bad_endpoints_are_one_line_and_the_store_is_unharmed(tmp_path, behaviour, settings, message):
    with chat_server(**behaviour) as server, LabelStore(tmp_path / "labels.sqlite") as store:
        settings = {
            name: str(v).format(url=server.url) if name == "url" else v for name, v in settings.items()
        }
        retries = 1 if behaviour.get("page") == "trickle" else 5
        asked = config(server, retries=retries, **{"malformed_retries": 0, **settings})
        with pytest.raises(BadInput, match=message) as caught:
            label_pairs(ChatLabeler(asked), questions(), FRAMES, store)
        assert str(caught.value).startswith(f"{asked.url}/chat/completions: ")
        assert "\n" not in str(caught.value)
        assert server.questions == [] and sum(store.counts().values()) == 0
    with chat_server() as server, LabelStore(tmp_path / "labels.sqlite") as store:
        assert len(label_pairs(ChatLabeler(config(server)), questions(), FRAMES, store)) == len(questions())


def test_an_endpoint_that_is_down():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    with pytest.raises(
        BadInput, match=f"{url}/chat/completions: cannot be reached .Connect.*; is the server running"
    ):
        ChatLabeler(ChatConfig(url, "toy", backoff=0.01)).probe()


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://[::1", "an address that is none"),
        ("/v2", "another path"),
        ("http://me:secret@b.c/", "to b.c,"),
    ],
)
def test_redirects_to_odd_places(location, said):
    with (
        chat_server(page="redirect", redirect_to=location) as server,
        pytest.raises(BadInput, match=said) as caught,
    ):
        ChatLabeler(config(server)).probe()
    assert "secret" not in str(caught.value)


def test_the_endless_reply(monkeypatch):
    monkeypatch.setattr("robot_rl.preferences.chat.client._LARGEST", 50)
    with chat_server() as server, pytest.raises(BadInput, match="the reply is larger than"):
        ChatLabeler(config(server, retries=0)).probe()
