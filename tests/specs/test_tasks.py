"""Task and dataset cards: the shipped ones hold, and mistakes in others are one line."""

import numpy as np
import pytest
import yaml

from robot_rl.errors import BadInput
from robot_rl.specs.dataset_cards import DatasetCard, load_dataset_card
from robot_rl.specs.paths import outside
from robot_rl.specs.tasks import Scale, load_task, task_names
from tests.envs.runnable import runnable_tasks

TASKS = task_names()


@pytest.mark.parametrize("name", TASKS)
def test_the_shipped_cards_hold(name):
    card = load_task(name)
    assert card.name == name and card.state and card.actions
    if card.reverse_task:
        assert load_task(card.reverse_task).reverse_task == name
    words = [words for scale in card.scales for level in scale.levels for words in level.say]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("name", runnable_tasks())
def test_scales_speak_of_what_the_environment_measures(name):
    make_task = pytest.importorskip("robot_rl.envs.make").make_task
    card = load_task(name)
    env = make_task(card)
    env.reset(seed=0)
    measured = set(env.quantities())
    env.close()
    for scale in card.scales:
        assert {quantity for level in scale.levels for quantity in level.when} <= measured


@pytest.mark.parametrize("path", sorted(outside("datasets").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_dataset_cards_hold(path):
    task, _, quality = path.stem.rpartition("_")
    card = load_dataset_card(task, quality)
    assert (card.name, card.task, card.quality) == (path.stem, task, quality)
    assert load_task(task).episode_length >= card.steps
    for part in card.parts:
        assert load_dataset_card(task, part).behaviour
    metaworld = load_task(task).environment.startswith("metaworld:")  # whose `undo` is a policy of the card
    undoes = card.behaviour is not None and "undo" in card.behaviour.mix
    assert not (metaworld and undoes) or load_task(task).undo
    low, high = card.expected.success_rate
    assert 0 <= low < high <= 1
    assert card.expected.returns is None or card.expected.returns[0] < card.expected.returns[1]


def test_unknown_names():
    with pytest.raises(BadInput, match="no task 'drawr_open'. Did you mean 'drawer_open'. Known: "):
        load_task("drawr_open")
    with pytest.raises(BadInput, match="no quality 'expart' for task 'drawer_open'. Did you mean 'expert'"):
        load_dataset_card("drawer_open", "expart")
    with pytest.raises(BadInput, match="cannot be read"):
        load_task("nowhere.yaml")


def test_a_card_of_ones_own_is_found_by_its_path(tmp_path):
    content = yaml.safe_load(outside("sim", "tasks", "drawer_open.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content | {"goal": "the drawer stands open"}))
    assert load_task(tmp_path / "mine.yaml").goal == "the drawer stands open"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"goals": "x"}, "goals: unknown field. Did you mean 'goal'?"),
        ({"goal": None}, "goal: "),
        ({"control_rate": 0}, "control_rate: Input should be greater than 0"),
        ({"episode_length": 1}, "episode_length: Input should be greater than or equal to 2"),
        ({"environment": "drawer"}, "must read <family>:<name>"),
        ({"camera": {"look_at": [0, 0, 0], "azimuth": 1, "elevation": 2}}, "camera.distance: this field is"),
        ({"scales": []}, "scales: "),
    ],
)
def test_a_wrong_field_is_one_line(tmp_path, changes, told):
    content = yaml.safe_load(outside("sim", "tasks", "drawer_open.yaml").read_text())
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    with pytest.raises(BadInput) as error:
        load_task(path)
    assert str(error.value).startswith(f"{path}: ") and told in str(error.value)
    assert "\n" not in str(error.value)


def make_scale(*whens):
    levels = [{"say": [str(i)], "when": when} for i, when in enumerate(whens)]
    return Scale(name="s", subject=["it is {}"], levels=levels)


def test_the_last_level_that_holds_is_a_frame_s_level():
    scale = make_scale({}, {"x": [None, 0.2]}, {"x": [None, 0.1], "y": [0.0, 1.0]})
    x, y = np.array([0.3, 0.2, 0.19, 0.05, 0.05, 0.05]), np.array([0.5, 0.5, 0.5, -0.1, 0.0, 1.0])
    # Bounds are [low, high): 0.2 is not below 0.2, y = 0 holds and y = 1 does not.
    assert scale.level({"x": x, "y": y}).tolist() == [0, 0, 1, 1, 2, 1]
    assert make_scale({"x": [1, None]}, {"x": [2, None]}).level({"x": x}).tolist() == [0] * 6


def test_an_unknown_quantity_and_a_sentence_without_a_place():
    with pytest.raises(BadInput, match="scale 's': unknown quantity 'heigt'. Did you mean 'height'"):
        make_scale({}, {"heigt": [0, 1]}).level({"height": np.zeros(2)})
    with pytest.raises(ValueError, match="must hold one {}"):
        Scale(name="s", subject=["the drawer"], levels=[{"say": ["a"]}, {"say": ["b"]}])


def test_parts_are_other_cards_in_their_shares():
    shuffled, improving = (
        load_dataset_card("drawer_open", "mixed"),
        load_dataset_card("drawer_open", "replay"),
    )
    rng = np.random.default_rng(0)
    own = {q: load_dataset_card("drawer_open", q).behaviour for q in ("random", "medium", "expert")}
    drawn = [shuffled.behaviour_of(i, 300, rng) for i in range(300)]
    assert [sum(b == own[q] for b in drawn) for q in own] == pytest.approx([180, 75, 45], abs=25)
    # Shares of 0.4, 0.4 and 0.2 of 10 episodes, in the order of the qualities.
    ordered = [improving.behaviour_of(i, 10, rng) for i in range(10)]
    assert ordered == [own["random"]] * 4 + [own["medium"]] * 4 + [own["expert"]] * 2
    single = load_dataset_card("drawer_open", "random")
    state = rng.bit_generator.state
    assert single.behaviour_of(3, 10, rng) == single.behaviour and rng.bit_generator.state == state


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"parts": {"random": 1.0}}, "must hold either behaviour or parts"),
        ({"behaviour": None}, "must hold either behaviour or parts"),
        ({"behaviour": None, "parts": {"random": 0}}, "shares must be above 0"),
        ({"behaviour": None, "parts": {"replay": 1}}, "parts.replay"),
    ],
)
def test_a_dataset_card_with_wrong_parts(changes, told):
    content = yaml.safe_load(outside("datasets", "drawer_open_random.yaml").read_text())
    with pytest.raises(ValueError, match=told):
        DatasetCard.model_validate(content | changes)
