"""Places in feature maps by hand, and the encoder that makes them and fewer numbers of them."""

import math
from importlib.util import find_spec

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from robot_rl.errors import BadInput
from robot_rl.vision.bottleneck import Bottleneck
from robot_rl.vision.keypoints import KeypointEncoder, spatial_soft_argmax


def test_places_by_hand():
    # A 2x3 map that is log 3 at the lower right and 0 elsewhere: that cell weighs 3 / 8, the others 1 / 8.
    maps = torch.zeros(1, 2, 2, 3)
    maps[0, 0, 1, 2] = math.log(3)
    x, flat_x, y, flat_y = spatial_soft_argmax(maps)[0].tolist()
    # Columns weigh 2/8, 2/8, 4/8 at -1, 0, 1; rows weigh 3/8 and 5/8 at -1 and 1.
    assert (x, y) == (pytest.approx(2 / 8), pytest.approx(2 / 8))
    assert (flat_x, flat_y) == (pytest.approx(0, abs=1e-7), pytest.approx(0, abs=1e-7))


@pytest.mark.skipif(find_spec("open_clip") is None, reason="open_clip is not installed")
def test_the_encoder_of_a_residual_model(tiny_judge):
    from robot_rl.vision.encoder import load_small

    judge = load_small(tiny_judge)
    encoder, rng = KeypointEncoder(judge), np.random.default_rng(0)
    pictures = rng.integers(0, 255, (300, 64, 64, 3), np.uint8)
    places = encoder.images(pictures)
    assert places.shape == (300, 512) == (300, encoder.features) and np.abs(places).max() <= 1
    np.testing.assert_allclose(encoder.images(pictures[280:]), places[280:], atol=1e-6)
    # What is seen moves with the picture: three columns to the right, the places go to the right.
    moved = np.roll(pictures, 16, 2)
    assert np.abs(encoder.images(moved) - places).mean() > 1e-4
    assert encoder.identity["kind"] == "keypoints" != judge.identity["kind"]  # its own entry in the cache
    assert encoder.identity["weights"] == judge.identity["weights"]
    judge.model.visual = torch.nn.Identity()
    with pytest.raises(BadInput, match="has no feature maps to find places in"):
        KeypointEncoder(judge)


def test_principal_components_by_hand():
    # Along (3, 4) / 5 the points lie at -10, 0, 10; across it they do not move.
    features = np.float32([[1, 2], [7, 10], [-5, -6]])
    narrow = Bottleneck.fit(features, 1)
    np.testing.assert_allclose(narrow.mean, [1, 2])
    np.testing.assert_allclose(np.abs(narrow.components[:, 0]), [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(np.abs(narrow(features)[:, 0]), [0, 10, 10], atol=1e-5)
    with torch.no_grad():
        seen = narrow.after(torch.nn.Identity())(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(seen, narrow(features), atol=1e-5)
    assert narrow.hash_with("a") != narrow.hash_with("b")
    assert Bottleneck.fit(features).size == 2  # not more than there are
