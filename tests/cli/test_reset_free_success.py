"""Success from pictures while practising: thresholds, what is counted, and what the page says of it."""

import json

import numpy as np
import pytest

from robot_rl.cli.reset_free_report import _quality
from robot_rl.cli.reset_free_success import QUALITY, PixelSuccess, load_pixel_success
from robot_rl.cli.reset_free_world import PairWorld
from robot_rl.errors import BadInput


class Brightness:
    """A classifier whose probability is the picture's brightness."""

    def __init__(self, threshold):
        self.threshold, self.resets, self.probability = threshold, 0, 0.0

    def detector(self):
        return self

    def __call__(self, picture):
        self.probability = float(picture.mean() / 255)

    def reset(self):
        self.resets += 1


def picture(share):
    return np.full((2, 2, 3), round(255 * share), np.uint8)


def test_each_task_has_its_classifier_and_errors_are_counted():
    judges = {"open": Brightness(0.8), "close": Brightness(0.2)}
    success = PixelSuccess(judges)
    assert success.thresholds == {"open": 0.8, "close": 0.2}
    assert success(picture(0.6), "open", True) == pytest.approx(0.6)  # missed
    success(picture(0.6), "close", False)  # false alarm
    success(picture(0.6), "close", True)
    success(picture(0.0), "close", False)
    success(picture(1.0), "close")  # nobody knows
    assert success.quality["open"] == {
        "true_positive": 0, "false_positive": 0, "false_negative": 1, "true_negative": 0
    }  # fmt: skip
    assert list(success.quality["close"].values()) == [1, 1, 0, 1]
    success.begin("open")
    assert (judges["open"].resets, judges["close"].resets) == (1, 0)


def test_the_page_tells_how_often_pictures_erred(tmp_path):
    assert _quality(tmp_path) == []
    cells = {"true_positive": 9, "false_positive": 1, "false_negative": 3, "true_negative": 39}
    (tmp_path / "lock_step").mkdir()
    (tmp_path / f"lock_step/000000100{QUALITY}").write_text(json.dumps({"open": cells}))
    (section,) = _quality(tmp_path)
    (row,) = section.blocks[0].rows
    assert row[:3] == ["open", 12, 40]
    assert [cell.split(" ")[0] for cell in row[3:]] == ["25.0%", "2.5%", "90.0%"]


def test_one_folder_is_not_enough(tmp_path):
    assert load_pixel_success((), ("open", "close")) is None
    with pytest.raises(BadInput, match="needs a folder for open and one for close, not 1"):
        load_pixel_success((tmp_path,), ("open", "close"))


def test_in_the_world_pictures_decide_and_the_simulator_only_counts(tmp_path):
    pytest.importorskip("metaworld")
    from robot_rl.envs.pair import make_pair

    success = PixelSuccess({"drawer_open": Brightness(0.01), "drawer_close": Brightness(1.0)})
    world = PairWorld(make_pair("drawer_open", size=32), "success", success)
    world.pair.begin_with("drawer_open", 0)
    outcome = world.step(np.zeros(4, np.float32))
    assert outcome.reward == 1.0 and 0.01 < outcome.success < 1 and not outcome.intervention
    world.switch("drawer_close")
    assert world.step(np.zeros(4, np.float32)).reward == 0.0
    assert success.quality["drawer_open"]["false_positive"] == 1
    world.keep(tmp_path / "world.npz")
    assert json.loads((tmp_path / f"world{QUALITY}").read_text()) == success.quality == world.quality
    again = PairWorld(make_pair("drawer_open", size=32), "success", success)
    success.quality = {}
    again.go_on(tmp_path / "world.npz", "drawer_close")
    assert success.quality["drawer_open"]["false_positive"] == 1
    np.testing.assert_array_equal(again.observe(), world.observe())
    for one in (world, again):
        one.pair.close()


def test_a_kept_world_goes_on_to_the_last_bit(tmp_path):
    pytest.importorskip("metaworld")
    from robot_rl.envs.pair import make_pair

    worlds = [PairWorld(make_pair("drawer_open"), "true") for _ in range(2)]
    worlds[0].pair.begin_with("drawer_open", 3)
    rng = np.random.default_rng(0)
    for _ in range(30):
        worlds[0].step(rng.uniform(-1, 1, 4).astype(np.float32))
    worlds[0].keep(tmp_path / "world.npz")
    worlds[0].switch("drawer_close")
    worlds[1].go_on(tmp_path / "world.npz", "drawer_close")
    actions = rng.uniform(-1, 1, (30, 4)).astype(np.float32)
    found = [[world.step(action) for action in actions] for world in worlds]
    for first, second in zip(*found, strict=True):
        np.testing.assert_array_equal(first.state, second.state)
        assert first.reward == second.reward
    assert worlds[1].pair.resets == 0 and worlds[0].pair.resets == 1
    (tmp_path / "world.npz").write_bytes(b"nothing")
    with pytest.raises(BadInput, match="is no kept world"):
        worlds[1].go_on(tmp_path / "world.npz", "drawer_close")
    with pytest.raises(BadInput, match="reward: must be true, success or learned"):
        PairWorld(worlds[0].pair, "no")
    home = [worlds[0].home_action() for _ in range(3)]
    assert all(action is None or action.shape == (4,) for action in home)
    for world in worlds:
        world.pair.close()
