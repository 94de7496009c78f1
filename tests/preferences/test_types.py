"""Preferences refuse contradictions; question keys change with all that can change an answer."""

import dataclasses

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.preferences.types import Outcome, Pair, Preference, Question, image_hash

QUESTION = Question(Pair(3, 9), "open the drawer", "close the drawer", "a" * 64, "b" * 64)
IDENTITY = {"model": "m", "prompt_version": "2", "params": {"temperature": 0.0, "size": 224}}


def test_the_four_outcomes_and_their_probability():
    assert Preference(Outcome.PREFERENCE, 0.5).outcome is not Outcome.TIE
    assert Preference("tie", 0.5).outcome is Outcome.TIE
    assert Preference(Outcome.CANNOT_TELL).p is None
    assert Preference(Outcome.FAILED, error="time-out").p is None


@pytest.mark.parametrize(
    ("outcome", "p"),
    [("preference", None), ("preference", 1.01), ("preference", float("nan")), ("tie", None), ("tie", 0.4)]
    + [("cannot_tell", 0.5), ("failed", 0.5)],
)
def test_a_probability_that_contradicts_the_outcome_is_refused(outcome, p):
    with pytest.raises(BadInput, match=f"outcome '{outcome}' p must be"):
        Preference(outcome, p, error="x" if outcome == "failed" else "")


def test_other_contradictions_are_refused():
    with pytest.raises(BadInput, match="Did you mean 'cannot_tell'"):
        Preference("canot_tell")
    with pytest.raises(BadInput, match="error must say why"):
        Preference(Outcome.FAILED)
    with pytest.raises(BadInput, match="error must say why"):
        Preference(Outcome.TIE, 0.5, error="but")
    with pytest.raises(BadInput, match="'given' or 'swapped'"):
        Preference(Outcome.TIE, 0.5, order="backwards")
    with pytest.raises(BadInput, match="cost must be finite"):
        Preference(Outcome.TIE, 0.5, cost=-1.0)


def test_numpy_probabilities_become_floats():
    assert type(Preference(Outcome.PREFERENCE, np.float32(0.25)).p) is float


def test_shown_follows_the_order():
    assert QUESTION.shown == (3, 9)
    assert dataclasses.replace(QUESTION, order="swapped").shown == (9, 3)


def test_key_is_about_content_not_about_frame_numbers():
    key = QUESTION.key("vlm", IDENTITY)
    assert len(key) == 64
    assert dataclasses.replace(QUESTION, pair=Pair(0, 1)).key("vlm", IDENTITY) == key
    reordered = {"params": {"size": 224, "temperature": 0.0}, "prompt_version": "2", "model": "m"}
    assert QUESTION.key("vlm", reordered) == key


def test_key_changes_with_all_that_can_change_the_answer():
    keys = {QUESTION.key("vlm", IDENTITY), QUESTION.key("other", IDENTITY)}
    for change in (
        {"order": "swapped"},
        {"task": "close it"},
        {"opposite": ""},
        {"first_hash": "c" * 64},
        {"first_hash": "b" * 64, "second_hash": "a" * 64},
    ):
        keys.add(dataclasses.replace(QUESTION, **change).key("vlm", IDENTITY))
    for change in ({"model": "n"}, {"prompt_version": "3"}, {"params": {"temperature": 0.1, "size": 224}}):
        keys.add(QUESTION.key("vlm", IDENTITY | change))
    assert len(keys) == 10


def test_key_refuses_what_json_cannot_say():
    with pytest.raises(BadInput, match="labeler 'vlm'.*JSON"):
        QUESTION.key("vlm", {"params": {"t": float("nan")}})
    with pytest.raises(BadInput, match="labeler 'vlm'.*JSON"):
        QUESTION.key("vlm", {"params": object()})


def test_image_hash_sees_shape_dtype_and_bytes():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert image_hash(image) == image_hash(image.copy())
    assert image_hash(image[:, ::-1]) == image_hash(image[:, ::-1].copy())  # memory layout does not count
    others = [image.reshape(4, 2, 3), image.view(np.int8), image + 1, image[:, ::-1]]
    assert len({image_hash(other) for other in [image, *others]}) == 5
