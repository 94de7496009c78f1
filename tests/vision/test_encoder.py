"""Pictures brought to size, and open_clip models by name and by file."""

from importlib.util import find_spec

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from safetensors.torch import save_file

from robot_rl.errors import BadInput
from robot_rl.vision.encoder import load_open_clip
from robot_rl.vision.open_clip_import import import_open_clip
from robot_rl.vision.sizes import fit_size

pytestmark = pytest.mark.skipif(find_spec("open_clip") is None, reason="open_clip is not installed")
SMALLEST = "ViT-S-32-alt"  # of open_clip's own architectures


def test_pictures_are_brought_to_size():
    pictures = np.random.default_rng(0).integers(0, 255, (3, 8, 12, 3), np.uint8)
    assert fit_size(pictures, 4).shape == (3, 4, 4, 3)
    assert fit_size(pictures, 16).shape == (3, 16, 16, 3)  # half the size is enough
    square = pictures[:, :, :8]
    np.testing.assert_array_equal(fit_size(square, 8), square)
    flat = np.zeros((1, 4, 4, 3), np.uint8)
    flat[0, :2, :2] = [[[0, 0, 0], [100, 0, 0]], [[100, 0, 0], [200, 0, 0]]]
    assert fit_size(flat, 2)[0, 0, 0].tolist() == [100, 0, 0]  # the mean of the area


@pytest.mark.parametrize(
    ("pictures", "told"),
    [
        (np.zeros((1, 31, 90, 3), np.uint8), "31x90 pixels are too small .* 64x64; it takes at least 32"),
        (np.zeros((1, 64, 64, 3), np.float32), "must be .n, H, W, 3. uint8, not float32"),
        (np.zeros((1, 64, 64, 4), np.uint8), "must be .n, H, W, 3. uint8"),
        (np.zeros((64, 64, 3), np.uint8), "must be .n, H, W, 3. uint8"),
    ],
)
def test_other_pictures_are_refused(pictures, told):
    with pytest.raises(BadInput, match=told):
        fit_size(pictures, 64)


def test_an_unknown_architecture_names_a_few_near_ones():
    with pytest.raises(BadInput) as error:
        load_open_clip("ViT-B-23", "openai")
    told = str(error.value)
    assert "no architecture 'ViT-B-23'. Did you mean 'ViT-B-32'" in told and len(told) < 250


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(BadInput, match="no file and no pretrained tag '.*none.safetensors' of ViT-B-32"):
        load_open_clip("ViT-B-32", str(tmp_path / "none.safetensors"))
    with pytest.raises(BadInput, match="no pretrained tag 'opnai' of ViT-B-32. Did you mean 'openai'"):
        load_open_clip("ViT-B-32", "opnai")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A local file with random weights of a real architecture, and the model that it came from."""
    torch.manual_seed(0)
    model = import_open_clip().create_model(SMALLEST, pretrained=None).eval()
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, str(path))
    yield path, model
    path.unlink()  # 160 MB


def test_a_local_file_is_loaded(checkpoint):
    path, model = checkpoint
    encoder = load_open_clip(SMALLEST, str(path), device="cpu")
    tokens = import_open_clip().get_tokenizer(SMALLEST)(["an open drawer"])
    with torch.inference_mode():
        expected = model.encode_text(tokens, normalize=True).numpy()
    np.testing.assert_allclose(encoder.texts(["an open drawer"]), expected, atol=1e-5)
    pictures = np.random.default_rng(0).integers(0, 255, (2, 128, 160, 3), np.uint8)
    assert encoder.size == 224 and encoder.images(pictures).shape == (2, expected.shape[1])
    assert encoder.scale == pytest.approx(1 / 0.07, rel=1e-3)
    assert encoder.identity["kind"] == "open_clip" and len(encoder.identity["weights"]) == 64
    assert str(path) in encoder.identity["origin"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_vectors_are_those_of_the_processor(checkpoint):
    path, _ = checkpoint
    here, there = load_open_clip(SMALLEST, str(path), device="cpu"), load_open_clip(SMALLEST, str(path))
    assert next(there.model.parameters()).is_cuda and here.identity == there.identity
    pictures = np.random.default_rng(0).integers(0, 255, (8, 128, 160, 3), np.uint8)
    np.testing.assert_allclose(there.images(pictures), here.images(pictures), atol=5e-3)
    np.testing.assert_allclose(there.texts(["an open drawer"]), here.texts(["an open drawer"]), atol=5e-3)


def test_a_file_of_another_model_or_of_nothing_is_named(checkpoint, tmp_path):
    broken = {"noise.safetensors": b"x" * 500, "noise.pt": b"x" * 500, "empty.safetensors": b""}
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match=f"{name}' could not be loaded into {SMALLEST}"):
            load_open_clip(SMALLEST, str(tmp_path / name))
    with pytest.raises(BadInput, match="could not be loaded into ViT-S-16-alt"):
        load_open_clip("ViT-S-16-alt", str(checkpoint[0]))
