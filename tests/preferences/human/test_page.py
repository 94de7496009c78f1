"""The page in a real browser: keys, buttons, touch, undo, lost connections, hostile text, a clean console."""

import re
import threading
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright import sync_api

from robot_rl.preferences.human.config import HumanConfig
from robot_rl.preferences.human.rate import rate
from robot_rl.preferences.run import make_questions
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import Outcome
from tests.preferences.human.scripted import rate_all
from tests.preferences.human.setup import FRAMES, TASK, pairs

expect = sync_api.expect
expect.set_options(timeout=20_000)  # a busy machine is no failure
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")
COUNT = 12


@pytest.fixture(scope="module")
def playwright():
    with sync_api.sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright):
    opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
    yield opened
    opened.close()


class Run:
    """A rating run in a thread: its link, and its ratings once it has ended."""

    def __init__(self, folder, task=TASK, **changes):
        self._folder, self._lines, self.ratings = folder, Queue(), None
        self._questions = make_questions(pairs(COUNT), FRAMES, task)
        self._config = HumanConfig(**{"raters": ("anna",), "grace": 0.0, **changes})
        self._thread = threading.Thread(target=self._rate, daemon=True)
        self._thread.start()
        self.link = self.next_link()

    def next_link(self):
        return self._lines.get(timeout=20).partition(": ")[2]

    def _rate(self):
        with LabelStore(self._folder / "labels.sqlite") as store:
            self.ratings = rate(self._config, self._questions, FRAMES, store, announce=self._lines.put)

    def ended(self):
        self._thread.join(20)
        assert self.ratings is not None
        return self.ratings


@contextmanager
def opened(browser, link, offline_is_fine=False, **context):
    """A rater's page with its first pair on the screen; fails at the end where the console shows an error."""
    made = browser.new_context(**context)
    page, errors = made.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.set_default_timeout(20_000)
    page.goto(link)
    shown(page, 0)
    yield page
    made.close()
    if offline_is_fine:  # the browser itself reports requests that could not be sent
        errors = [error for error in errors if "Failed to load resource" not in error]
    assert not errors


def shown(page, done, total=COUNT):
    """Wait until so many pairs are answered and the next one is on the screen."""
    expect(page.locator("#count")).to_have_text(f"{done} / {total}")
    if done < total:
        expect(page.locator("#pair")).not_to_have_class(re.compile("loading"))


def finish(page):
    page.click("#finish")
    page.click("#leave")
    expect(page.locator("#done")).to_be_visible()


def test_keys_buttons_and_undo(browser, tmp_path):
    run = Run(tmp_path)
    with opened(browser, run.link) as page:
        assert "token" not in page.url
        expect(page.locator("h1")).to_have_text(TASK)
        keys = ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown")
        for done, key in enumerate(keys, 1):
            page.keyboard.press(key)
            shown(page, done)
        page.keyboard.press("u")
        shown(page, 3)
        page.click("#undo")
        shown(page, 2)
        for done, choice in enumerate(("cannot_tell", "tie", "second", "first"), 3):
            page.click(f"[data-choice={choice}]")
            shown(page, done)
        expect(page.locator("#pace")).to_have_text(re.compile(r"^\d+ pairs/min · .+ left$"))
        assert page.locator("#bar").evaluate("bar => [bar.value, bar.max]") == [6, COUNT]
        finish(page)
        expect(page.locator("#told")).to_contain_text(f"6 of {COUNT} pairs")
    counts = [a.outcome for a in run.ended().per_rater["anna"].values()]
    assert {kind: counts.count(kind) for kind in set(counts)} == {
        Outcome.PREFERENCE: 4,
        Outcome.TIE: 1,
        Outcome.CANNOT_TELL: 1,
    }


def test_the_left_key_means_the_left_picture(browser, tmp_path):
    run = Run(tmp_path)
    with opened(browser, run.link) as page:
        for done in range(1, COUNT + 1):
            # Brightness of the middle pixel, as the screen has it.
            left, right = page.locator("#pair img").evaluate_all(
                """images => images.map(image => {
                    const canvas = document.createElement("canvas").getContext("2d");
                    canvas.drawImage(image, 0, 0);
                    return canvas.getImageData(1, 1, 1, 1).data[0];
                })"""
            )
            page.keyboard.press("ArrowLeft" if left > right else "ArrowRight")
            shown(page, done)
        expect(page.locator("#thanks")).to_have_text("Done. Thank you, anna!")
    level = {i: FRAMES([i]).mean() for pair in pairs(COUNT) for i in (pair.first, pair.second)}
    for pair, answer in zip(pairs(COUNT), run.ended().answers, strict=True):
        assert answer.p == float(level[pair.second] > level[pair.first])
        assert 0 < answer.latency < 60


def test_a_key_held_down_a_double_click_and_keys_with_modifiers(browser, tmp_path):
    run = Run(tmp_path)
    with opened(browser, run.link) as page:
        page.keyboard.down("ArrowLeft")
        shown(page, 1)
        for _ in range(3):
            page.keyboard.down("ArrowLeft")  # a repeat, as the key is still down
            page.wait_for_timeout(50)
        page.keyboard.up("ArrowLeft")
        shown(page, 1)
        page.evaluate("for (const i of [1, 2]) document.querySelector('[data-choice=tie]').click()")
        shown(page, 2)
        page.keyboard.press("Control+ArrowRight")
        page.keyboard.press("Control+u")
        page.click("#finish")
        page.keyboard.press("ArrowLeft")  # the question whether to finish is open
        page.click("#stay")
        page.wait_for_timeout(200)
        shown(page, 2)
        finish(page)
    assert len(run.ended().per_rater["anna"]) == 2


def test_an_answer_given_while_offline_is_sent_once(browser, tmp_path):
    run = Run(tmp_path)
    with opened(browser, run.link, offline_is_fine=True) as page:
        page.keyboard.press("ArrowUp")
        shown(page, 1)
        page.context.set_offline(True)
        page.keyboard.press("ArrowDown")
        expect(page.locator("#lost")).to_contain_text("Connection lost, trying again")
        expect(page.locator("#lost")).to_contain_text("What you chose is kept")
        page.keyboard.press("ArrowUp")  # not taken: one answer is on its way
        page.context.set_offline(False)
        shown(page, 2)
        expect(page.locator("#lost")).to_be_hidden()
        finish(page)
    kinds = [a.outcome for a in run.ended().per_rater["anna"].values()]
    assert sorted(kinds) == [Outcome.CANNOT_TELL, Outcome.TIE]


def test_a_reply_that_is_lost_is_asked_for_again_and_counts_once(browser, tmp_path):
    run = Run(tmp_path)
    with opened(browser, run.link, offline_is_fine=True) as page:
        posts = []

        def deliver_and_lose(route):
            posts.append(route.request.post_data)
            route.fetch()  # the server takes it
            if len(posts) == 1:
                route.abort()
            else:
                route.continue_()

        page.route("**/answer", deliver_and_lose)
        page.keyboard.press("ArrowUp")
        shown(page, 1)
        assert len(posts) == 2 and posts[0] == posts[1]
        finish(page)
    assert len(run.ended().per_rater["anna"]) == 1


def test_an_answer_that_is_not_confirmed_survives_a_reload(browser, tmp_path):
    run = Run(tmp_path)
    with opened(browser, run.link, offline_is_fine=True) as page:
        page.route("**/answer", lambda route: route.abort())
        page.keyboard.press("ArrowUp")
        expect(page.locator("#lost")).to_be_visible()
        page.unroute("**/answer")
        page.reload()
        shown(page, 1)
        finish(page)
    assert [a.outcome for a in run.ended().per_rater["anna"].values()] == [Outcome.TIE]


def test_two_tabs_of_one_rater(browser, tmp_path):
    run = Run(tmp_path)
    with opened(browser, run.link) as page, opened(browser, run.link) as other:
        page.keyboard.press("ArrowLeft")
        shown(page, 1)
        other.keyboard.press("ArrowUp")  # to the question that the first tab has answered: counts nothing
        shown(other, 1)
        other.keyboard.press("ArrowUp")
        shown(other, 2)
        finish(page)
    assert sorted(a.outcome for a in run.ended().per_rater["anna"].values()) == [
        Outcome.PREFERENCE,
        Outcome.TIE,
    ]


def test_the_last_answer_can_be_undone_until_the_run_ends_and_then_the_page_says_so(browser, tmp_path):
    run = Run(tmp_path, grace=2.0)
    with opened(browser, run.link, offline_is_fine=True) as page:
        for done in range(1, COUNT + 1):
            page.keyboard.press("ArrowLeft")
            shown(page, done)
        page.click("#undo-last")
        shown(page, COUNT - 1)
        page.keyboard.press("ArrowUp")
        expect(page.locator("#told")).to_contain_text(f"all {COUNT} pairs")
        ratings = run.ended()
        page.click("#undo-last")
        expect(page.locator("#close")).to_contain_text("The session has ended")
        page.close()
    assert [a.outcome for a in ratings.answers].count(Outcome.TIE) == 1


def test_ending_early_can_be_taken_back_while_others_rate(browser, tmp_path):
    run = Run(tmp_path, raters=("anna", "ben"), shared=1.0)
    with opened(browser, run.link) as page:
        page.keyboard.press("ArrowLeft")
        shown(page, 1)
        finish(page)
        page.click("#go-on")
        expect(page.locator("#asking")).to_be_visible()
        shown(page, 1)
        page.keyboard.press("ArrowUp")
        shown(page, 2)
        finish(page)
    rate_all(run.next_link(), most=0)
    assert len(run.ended().per_rater["anna"]) == 2


def test_hostile_text_is_shown_as_text(browser, tmp_path):
    hostile = '<img src=x onerror=alert(1)> & <b>"open"</b> {{7*7}}'
    run = Run(tmp_path, task=hostile)
    with opened(browser, run.link) as page:
        page.on("dialog", lambda dialog: pytest.fail("the text was run"))
        expect(page.locator("h1")).to_have_text(hostile)
        assert page.locator("h1 *").count() == 0 and hostile in page.title()
        finish(page)
    run.ended()


def test_an_old_link_says_so_without_losing_the_answer(browser, tmp_path):
    run = Run(tmp_path)
    with opened(browser, run.link, offline_is_fine=True) as page:
        page.context.clear_cookies()
        page.keyboard.press("ArrowUp")
        expect(page.locator("#refused")).to_be_visible()
        expect(page.locator("#asking")).to_be_hidden()
        page.goto(run.link)  # as the next run's link, in this tab
        shown(page, 1)
        finish(page)
    run.ended()


def test_a_phone(browser, playwright, tmp_path):
    run = Run(tmp_path)
    with opened(browser, run.link, **playwright.devices["Pixel 5"]) as page:
        first, second = (page.locator(f"[data-choice={side}]").bounding_box() for side in ("first", "second"))
        assert first["y"] + first["height"] <= second["y"] and first["x"] == second["x"]
        height = page.viewport_size["height"]
        for button in page.locator("#asking button, #finish").all():
            box = button.bounding_box()
            assert box["height"] >= 44 and box["width"] >= 44 and box["y"] + box["height"] <= height
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.tap("[data-choice=second]")
        shown(page, 1)
        page.tap("[data-choice=cannot_tell]")
        shown(page, 2)
        page.tap("#undo")
        shown(page, 1)
        page.tap("#finish")
        page.tap("#leave")
        expect(page.locator("#done")).to_be_visible()
    assert len(run.ended().per_rater["anna"]) == 1


def test_what_a_screen_reader_finds(browser, tmp_path):
    run = Run(tmp_path)
    with opened(browser, run.link) as page:
        for name in ("First picture", "Second picture", "Equally near", "Cannot tell", "Undo", "Finish now"):
            expect(page.get_by_role("button", name=re.compile(name))).to_be_visible()
        expect(page.get_by_role("progressbar", name="Pairs judged")).to_be_visible()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.matches(':focus-visible')")
        page.keyboard.press("Enter")  # the first picture has the focus
        shown(page, 1)
        expect(page.locator("#spoken")).to_have_text("Saved: first.")
        finish(page)
    assert len(run.ended().per_rater["anna"]) == 1
