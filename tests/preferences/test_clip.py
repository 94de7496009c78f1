"""The labeler clip: scores by hand in a plane of vectors, and the contract with a real small encoder."""

import math
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
from robot_rl.data.store import Dataset
from robot_rl.preferences.clip import ClipLabeler, Ladder, ladders
from robot_rl.preferences.run import make_questions
from robot_rl.preferences.types import Outcome, Pair
from robot_rl.specs.tasks import load_task
from robot_rl.vision.encoder import load_small
from tests.preferences.conformance import check_labeler

pytestmark = pytest.mark.skipif(find_spec("open_clip") is None, reason="open_clip is not installed")


def direction(degrees):
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]


class PlaneEncoder:
    """Sentences are angles in degrees; a picture's angle is its first value."""

    scale = 10.0
    identity = {"kind": "plane", "model": "angles", "weights": "none", "origin": "by hand"}

    def texts(self, sentences):
        return np.array([direction(float(s)) for s in sentences], np.float32)

    def images(self, pictures):
        return np.array([direction(float(p.reshape(-1)[0])) for p in pictures], np.float32)


TWO, THREE = Ladder((("0",), ("90",))), Ladder((("0",), ("45",), ("90",)))
ANGLES = np.array([0, 10, 30, 44, 45, 45, 46, 60, 80, 90], np.uint8)


def frames(indices):
    return np.broadcast_to(ANGLES[indices][:, None, None, None], (len(indices), 2, 2, 3)).copy()


def label(pairs, **settings):
    labeler = ClipLabeler(PlaneEncoder(), [TWO], **settings)
    return list(labeler.label(make_questions(pairs, frames, "90", "0"), frames))


def test_the_score_rises_towards_the_goal():
    vectors = PlaneEncoder().images(frames(np.arange(10)))
    for ladder in (TWO, THREE):
        score = ClipLabeler(PlaneEncoder(), [ladder]).score(vectors)
        assert (np.diff(score) >= 0).all() and score[0] < 0.1 and score[-1] > 0.9
        assert score[4] == pytest.approx(0.5, abs=1e-6)


def test_the_score_by_hand():
    vectors = np.array([direction(30)])
    toward, away = math.exp(10 * math.cos(math.radians(60))), math.exp(10 * math.cos(math.radians(30)))
    two = ClipLabeler(PlaneEncoder(), [TWO]).score(vectors)[0]
    assert two == pytest.approx(toward / (toward + away), abs=1e-6)
    middle = math.exp(10 * math.cos(math.radians(15)))
    expected = (0.5 * middle + toward) / (away + middle + toward)
    assert ClipLabeler(PlaneEncoder(), [THREE]).score(vectors)[0] == pytest.approx(expected, abs=1e-6)
    both = ClipLabeler(PlaneEncoder(), [TWO, THREE]).score(vectors)[0]
    assert both == pytest.approx(toward / (toward + away) + expected, abs=2e-6)


def test_a_rung_s_sentences_are_averaged():
    several = ClipLabeler(PlaneEncoder(), [Ladder((("-20", "20"), ("80", "100")))])
    vectors = PlaneEncoder().images(frames(np.arange(10)))
    single = ClipLabeler(PlaneEncoder(), [TWO])
    np.testing.assert_allclose(several.score(vectors), single.score(vectors), atol=2e-6)


def test_the_probability_by_hand():
    def score(degrees):
        toward, away = (math.exp(10 * math.cos(math.radians(a))) for a in (90 - degrees, degrees))
        return toward / (toward + away)

    answer = label([Pair(3, 7)], temperature=0.5)[0]
    assert answer.p == pytest.approx(1 / (1 + math.exp(-(score(60) - score(44)) / 0.5)), abs=1e-5)
    assert answer.outcome is Outcome.PREFERENCE
    back = label([Pair(7, 3)], temperature=0.5)[0]
    assert back.p == pytest.approx(1 - answer.p, abs=1e-6)


def test_no_preference_close_to_one_half():
    answers = label([Pair(4, 5), Pair(3, 6), Pair(0, 9)])
    assert [a.outcome for a in answers] == [Outcome.TIE, Outcome.PREFERENCE, Outcome.PREFERENCE]
    assert answers[0].p == 0.5 and answers[1].p > 0.52
    wide = label([Pair(3, 6)], tie=0.4)[0]
    assert (wide.outcome, wide.p) == (Outcome.TIE, 0.5)
    assert label([Pair(4, 5)], tie=0.0)[0].outcome is Outcome.PREFERENCE  # no band, no tie


def test_vectors_that_are_known_are_not_made_again():
    vectors, asked = PlaneEncoder().images(frames(np.arange(10))), []

    def embed(indices):
        asked.append(indices.tolist())
        return vectors[indices]

    questions = make_questions([Pair(9, 0), Pair(0, 4)], frames, "90", "0")
    known = list(ClipLabeler(PlaneEncoder(), [TWO], embed=embed).label(questions, None))
    assert asked == [[0, 4, 9]]
    assert known == list(ClipLabeler(PlaneEncoder(), [TWO]).label(questions, frames))


def test_a_strip_s_score_is_the_mean_of_its_moments():
    vectors = PlaneEncoder().images(frames(np.arange(10)))
    moments = np.array([[0, 0, i] for i in range(10)])
    strip = ClipLabeler(PlaneEncoder(), [TWO], 0.5, embed=lambda i: vectors[i], moments=lambda i: moments[i])
    answer = list(strip.label(make_questions([Pair(3, 7)], frames, "90", "0"), None))[0]
    score = ClipLabeler(PlaneEncoder(), [TWO]).score(vectors)
    gap = (score[7] - score[3]) / 3  # the first two moments are the same in both
    assert answer.p == pytest.approx(1 / (1 + math.exp(-gap / 0.5)), abs=1e-5)


def test_a_goal_picture_counts_beside_the_words():
    vectors = np.array([direction(30)])
    words = ClipLabeler(PlaneEncoder(), [TWO])
    goal = ClipLabeler(PlaneEncoder(), [TWO], goal_image=np.full((2, 2, 3), 80, np.uint8))
    expected = words.score(vectors)[0] + math.cos(math.radians(50))
    assert goal.score(vectors)[0] == pytest.approx(expected, abs=2e-6)
    assert goal.identity != words.identity


def test_ladders_are_the_card_s_words_or_the_two_sentences():
    assert ladders("open", "shut") == (Ladder((("shut",), ("open",))),)
    card = load_task("drawer_open")
    hand, drawer = ladders(card.goal, card.opposite, card.scales)
    assert len(hand.rungs) == 6 and len(drawer.rungs) == 5
    assert drawer.rungs[0] == ("the drawer is closed", "a drawer that is closed", "the drawer is shut",
                               "a drawer that is shut")  # fmt: skip


def test_all_that_changes_an_answer_is_in_the_identity():
    def identity(**changes):
        settings = {"encoder": PlaneEncoder(), "steps": [TWO], "temperature": 0.1, "tie": 0.02} | changes
        return ClipLabeler(**settings).identity

    other = SimpleNamespace(texts=PlaneEncoder().texts, identity=PlaneEncoder.identity | {"weights": "new"})
    changed = [{"encoder": other}, {"steps": [THREE]}, {"temperature": 0.2}, {"tie": 0.1}]
    assert all(identity(**change) != identity() for change in changed)


@pytest.mark.parametrize("make_steps", [lambda card: ladders(card.goal, card.opposite, card.scales),
                                        lambda card: ladders("open", "shut")])  # fmt: skip
def test_the_contract(tiny_judge, collected, tmp_path, make_steps):
    encoder, dataset, card = load_small(tiny_judge), Dataset.open(collected), load_task("drawer_open")
    pairs = [Pair(i, (i * 7 + 3) % 60) for i in range(12)] + [Pair(5, 5)]
    check_labeler(
        lambda: ClipLabeler(encoder, make_steps(card), temperature=0.01),
        lambda indices: dataset.frames("side", indices),
        pairs,
        tmp_path,
        card.goal,
        card.opposite,
    )
