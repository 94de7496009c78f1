"""Settings, picture formats, waits and the line that says how many pictures leave."""

import asyncio
import base64
import email.utils
import time

import cv2
import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.preferences.chat.announce import announcement
from robot_rl.preferences.chat.budget import Budget, Usage
from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.images import data_uri
from robot_rl.preferences.chat.labeler import ChatLabeler
from robot_rl.preferences.chat.pace import Pace, backoff, retry_after
from robot_rl.preferences.run import label_pairs
from robot_rl.preferences.store import LabelStore
from tests.preferences.chat.setup import FRAMES, PAIRS, config, questions
from tests.preferences.chat_server import chat_server

BASE = {"url": "https://example.com/v1", "model": "toy"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "example.com/v1"}, "url: must begin with https:// or http://"),
        ({"url": "ftp://example.com"}, "url: must begin with https:// or http://"),
        ({"url": "https://"}, "url: must begin with"),
        ({"url": "https://example.com:99999"}, "url: is no address"),
        ({"url": "https://[::1"}, "url: is no address"),
        ({"url": "https://example.com/v1#x"}, "url: must hold no user"),
        ({"model": " "}, "model: is empty"),
        ({"both_orders": "sometimes"}, "both_orders: must be never or always, not 'sometimes'"),
        ({"image_format": "gif"}, "image_format: must be jpeg or png"),
        ({"temperature": 3.0}, "temperature: must be in .0, 2. or left out, not 3.0"),
        ({"temperature": float("nan")}, "temperature: must be in"),
        ({"concurrency": 0}, "concurrency: must be in .1, 1024., not 0"),
        ({"timeout": 0}, "timeout: must be in"),
        ({"retries": -1}, "retries: must be in"),
        ({"budget_calls": -1}, "budget_calls: must be in"),
        ({"budget_usd": float("nan"), "price_input": 1.0}, "budget_usd: must be in"),
        ({"budget_usd": 1.0}, "budget_usd: needs price_input and price_output"),
    ],
)
def test_settings_that_break_a_rule(change, message):
    with pytest.raises(BadInput, match=message) as caught:
        ChatConfig(**{**BASE, **change})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://a.b/v1", "https://a.b/v1/", " https://a.b/v1/chat/completions "])
def test_addresses_as_people_give_them(url):
    made = ChatConfig(url, "toy")
    assert made.endpoint == "https://a.b/v1/chat/completions"
    assert made.host == "a.b" and not made.loopback


@pytest.mark.parametrize("size", [0, 8, 64])
@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_pictures_arrive_as_they_are_or_scaled(size, kind):
    gradient = np.linspace(0, 255, 32 * 16).reshape(16, 32, 1)
    image = np.concatenate([gradient, 0 * gradient, 255 - gradient], 2).astype(np.uint8)
    uri = data_uri(image, ChatConfig(**BASE, image_size=size, image_format=kind))
    head, data = uri.split(",")
    assert head == f"data:image/{kind};base64"
    seen = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert seen.shape == (16 * (size or 32) // 32, size or 32, 3)
    if not size:
        assert np.abs(seen.astype(int) - image).max() <= (0 if kind == "png" else 60)
    # Red grows downward and blue shrinks; in a tiny JPEG they run into each other.
    assert seen[-1, :, 0].mean() > 150 > 100 > seen[0, :, 0].mean()
    assert seen[0, :, 2].mean() > 150 > 100 > seen[-1, :, 2].mean()


def test_what_a_server_asks_to_wait():
    now = 1_700_000_000.0
    assert retry_after({"retry-after": "7"}, now) == 7.0
    assert retry_after({"retry-after": email.utils.formatdate(now + 30, usegmt=True)}, now) == 30.0
    assert retry_after({"retry-after": email.utils.formatdate(now - 30, usegmt=True)}, now) == 0.0
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}, now) == 0.25
    for nonsense in ("", "soon", "-3", "nan", "inf"):
        assert retry_after({"retry-after": nonsense}, now) is None
    assert retry_after({}, now) is None


def test_waits_grow_by_doubling_up_to_a_bound_and_differ():
    for attempt, most in enumerate([1.0, 2.0, 4.0, 5.0, 5.0]):
        waits = {backoff(attempt, 1.0, 5.0) for _ in range(50)}
        assert len(waits) > 1 and most / 2 <= min(waits) and max(waits) <= most
    assert all(3.0 <= backoff(4, 1.0, 5.0, asked=3.0) <= 3.75 for _ in range(50))


@pytest.mark.parametrize("date", [False, True])
def test_a_busy_server_is_given_the_time_it_asks_for(date):
    wait = email.utils.formatdate(time.time() + 2, usegmt=True) if date else "0.3"
    with chat_server(faults={"busy": 1.0}, retry_after=wait) as server:
        labeler = ChatLabeler(config(server))
        answers = list(labeler.label(questions()[:1], FRAMES))
        first, second = server.times[-2:]
    assert answers[0].p is not None
    assert second - first >= (0.9 if date else 0.3)  # a date has whole seconds


@pytest.fixture
def clock(monkeypatch):
    """A clock of its own for the pace, on which a sleep takes no time; [now, sum of sleeps]."""
    state = [1000.0, 0.0]

    async def sleep(seconds):
        state[1] += seconds

    monkeypatch.setattr("robot_rl.preferences.chat.pace.time.monotonic", lambda: state[0])
    monkeypatch.setattr("robot_rl.preferences.chat.pace.asyncio.sleep", sleep)
    return state


def waits(pace, clock, tokens, count):
    """How long each of `count` requests at one moment waits, in s."""
    found = []
    for _ in range(count):
        before = clock[1]
        asyncio.run(pace.turn(tokens))
        found.append(clock[1] - before)
    return found


def test_limits_a_minute(clock):
    assert waits(Pace(120, 0), clock, 9999, 4) == [0, 0.5, 1.0, 1.5]
    assert waits(Pace(0, 6000), clock, 100, 4) == [0, 1.0, 2.0, 3.0]
    assert waits(Pace(120, 6000), clock, 10, 4) == [0, 0.5, 1.0, 1.5]  # the narrower one holds
    assert waits(Pace(0, 0), clock, 10**9, 4) == [0, 0, 0, 0]
    idle = Pace(120, 0)
    waits(idle, clock, 1, 4)
    clock[0] += 60
    assert waits(idle, clock, 1, 2) == [0, 0.5]  # idle time is not saved up


def test_a_wrong_guess_of_tokens_is_made_good(clock):
    pace = Pace(0, 6000)  # 100 tokens a second
    waits(pace, clock, 300, 1)
    pace.correct(guessed=300, used=100)
    assert waits(pace, clock, 1, 1) == [1.0]


@pytest.mark.parametrize("limit", ["requests_per_minute", "tokens_per_minute"])
def test_every_call_waits_its_turn(monkeypatch, limit):
    asked = []

    async def turn(self, tokens):
        asked.append((self._per_request, self._per_token, tokens))

    corrected = []
    monkeypatch.setattr(Pace, "turn", turn)
    monkeypatch.setattr(Pace, "correct", lambda self, guessed, used: corrected.append((guessed, used)))
    with chat_server(faults={"busy": 0.5}) as server:
        list(ChatLabeler(config(server, **{limit: 30})).label(questions(), FRAMES))
        assert len(asked) == server.calls > len(PAIRS) + 1
    assert {entry[:2] for entry in asked} == {(2.0, 0.0) if limit == "requests_per_minute" else (0.0, 2.0)}
    assert [guess for *_, guess in asked] == [guess for guess, _ in corrected]
    assert {used for _, used in corrected} == {0, 100}  # of a refused try and of one that was answered
    assert asked[-1][2] < 500  # what such calls took, no longer the first guess


def test_what_a_budget_counts():
    budget = Budget(
        ChatConfig(**BASE, price_input=2.0, price_output=8.0, max_tokens=100, budget_tokens=10_000)
    )
    assert budget.fits(2) and not budget.fits(3)  # 4,000 are guessed for the first question's input
    assert budget.again() and budget.again() and not budget.again()
    budget.settle(Usage(900, 50))
    budget.settle(None)  # nobody knows, so it is the most: 900 and 100
    assert (budget.calls, budget.used) == (2, Usage(1800, 150))
    assert budget.cost(budget.used) == pytest.approx((1800 * 2 + 150 * 8) / 1e6)
    assert budget.fits(8) and not budget.fits(9)


def test_the_line_before_pictures_leave(tmp_path):
    with chat_server() as server, LabelStore(tmp_path / "labels.sqlite") as store:
        labeler = ChatLabeler(config(server))
        host = f"127.0.0.1:{server.port} (this machine)"
        size = 2 * len(PAIRS) * len(data_uri(FRAMES(np.array([0]))[0], labeler.config)) / 1000
        asked = questions([*PAIRS, *PAIRS])
        line = announcement(labeler, asked, FRAMES, store)
        assert line == f"26 images (about {size:.0f} KB) of 13 pairs go to {host}"
        both = ChatLabeler(config(server, both_orders="always"))
        assert announcement(both, asked, FRAMES).startswith("52 images")
        label_pairs(labeler, asked[:3], FRAMES, store)
        assert announcement(labeler, asked, FRAMES, store).startswith("20 images")
        label_pairs(labeler, asked, FRAMES, store)
        assert announcement(labeler, asked, FRAMES, store).startswith("no image goes to 127.0.0.1")
        calls = server.calls
    assert calls == len(PAIRS) + 1
    remote = ChatLabeler(ChatConfig(**BASE))
    assert announcement(remote, asked, FRAMES).endswith("of 13 pairs go to example.com")
