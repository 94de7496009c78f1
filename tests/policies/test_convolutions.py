"""The small convolutional network's shapes, and shifts worked by hand."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from robot_rl.policies.convolutions import SmallConvNet, random_shift, shifted  # noqa: E402


def test_a_shift_by_hand():
    picture = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]], dtype=torch.uint8)[None, :, :, None]
    pictures = picture.expand(3, 3, 3, 1)
    # Up by one and left by two; down and right by one; not at all. Edges are repeated.
    found = shifted(pictures, torch.tensor([[1, 2], [-1, -1], [0, 0]]))[..., 0].tolist()
    assert found[0] == [[6, 6, 6], [9, 9, 9], [9, 9, 9]]
    assert found[1] == [[1, 1, 2], [1, 1, 2], [4, 4, 5]]
    assert found[2] == picture[0, :, :, 0].tolist()


def test_a_shift_is_padding_and_cropping():
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 255, (5, 9, 7, 3), dtype=torch.uint8, generator=generator)
    by = torch.randint(-4, 5, (5, 2), generator=generator)
    padded = np.pad(pictures.numpy(), ((0, 0), (4, 4), (4, 4), (0, 0)), "edge")
    for k, (down, right) in enumerate((by + 4).tolist()):
        expected = padded[k, down : down + 9, right : right + 7]
        np.testing.assert_array_equal(shifted(pictures, by)[k].numpy(), expected)


def test_shifts_are_drawn_one_by_one_and_again_from_the_same_seed():
    pictures = torch.arange(64 * 64, dtype=torch.int32).view(1, 64, 64, 1).expand(50, 64, 64, 1)
    found = random_shift(pictures, torch.Generator().manual_seed(1))
    assert torch.equal(found, random_shift(pictures, torch.Generator().manual_seed(1)))
    centres = found[:, 32, 32, 0] - (32 * 64 + 32)
    down, right = (centres + 32) // 64, (centres + 32) % 64 - 32
    for moved in (down, right):
        assert moved.min() == -4 and moved.max() == 4 and len(moved.unique()) == 9


@pytest.mark.parametrize("size", [32, 64])
def test_features_lie_within_one_and_differ_between_pictures(size):
    generator = torch.Generator().manual_seed(0)
    net = SmallConvNet(size, generator)
    pictures = torch.randint(0, 255, (4, size, size, 3), dtype=torch.uint8, generator=generator)
    features = net(pictures)
    assert features.shape == (4, 50) and float(features.detach().abs().max()) < 1
    assert float(features.detach().std(0).min()) > 1e-4
    again = SmallConvNet(size, torch.Generator().manual_seed(0))(pictures)
    assert torch.equal(features, again)
