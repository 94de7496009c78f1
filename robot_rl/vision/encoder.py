"""An image-text encoder: pictures and sentences to vectors of one space, from open_clip."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robot_rl.errors import BadInput, nearest
from robot_rl.vision.open_clip_import import import_open_clip
from robot_rl.vision.sizes import fit_size

_BATCH = 256  # pictures at once
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's own
FORMAT_VERSION = 1


class ImageTextEncoder:
    """Unit vectors (n, D) float32 of pictures and sentences; nearer means more alike."""

    def __init__(self, model: torch.nn.Module, tokenizer: Any, identity: Mapping[str, Any], size: int,
                 mean: Sequence[float] = _MEAN, std: Sequence[float] = _STD) -> None:  # fmt: skip
        self.model = model.eval()
        self.identity = dict(identity)  # name, weights' hash, origin: all that can change a vector
        self.size = size  # pixels, square
        self._tokenizer = tokenizer
        self._mean = torch.tensor(mean).view(1, 3, 1, 1)
        self._std = torch.tensor(std).view(1, 3, 1, 1)
        self._device = next(model.parameters()).device

    @property
    def scale(self) -> float:
        """The factor on cosine similarity that the model was trained with."""
        return float(self.model.logit_scale.detach().exp())

    @torch.inference_mode()
    def images(self, pictures: np.ndarray) -> np.ndarray:
        """Embed (n, H, W, 3) uint8 of any size; raises BadInput below half the encoder's own size."""
        found = [self._images(pictures[i : i + _BATCH]) for i in range(0, len(pictures), _BATCH)]
        return np.concatenate(found) if found else np.zeros((0, self.texts(["a"]).shape[1]), np.float32)

    def _images(self, pictures: np.ndarray) -> np.ndarray:
        values = torch.from_numpy(fit_size(pictures, self.size)).to(self._device).permute(0, 3, 1, 2)
        values = (values.float() / 255.0 - self._mean.to(self._device)) / self._std.to(self._device)
        return self.model.encode_image(values.contiguous(), normalize=True).cpu().numpy()

    @torch.inference_mode()
    def texts(self, sentences: Sequence[str]) -> np.ndarray:
        """Embed sentences, (n, D)."""
        tokens = self._tokenizer(list(sentences)).to(self._device)
        return self.model.encode_text(tokens, normalize=True).cpu().numpy()


def load_open_clip(name: str, weights: str, device: str = "") -> ImageTextEncoder:
    """Load any open_clip model by architecture name and by pretrained tag (needs the hub) or local file.

    It runs on `device`; by default on the GPU where torch sees one, else on the processor. Raises BadInput
    for unknown names and tags, naming the nearest, and for files that do not load.
    """
    open_clip = import_open_clip()
    if name not in open_clip.list_models():
        raise BadInput(
            f"--model: open_clip has no architecture '{name}'.{_few(name, open_clip.list_models())}"
        )
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    local = Path(weights).expanduser()
    if not local.is_file() and weights not in open_clip.list_pretrained_tags_by_model(name):
        tags = open_clip.list_pretrained_tags_by_model(name)
        raise BadInput(
            f"--weights: no file and no pretrained tag '{weights}' of {name}.{_few(weights, tags)}"
        )
    try:
        model, _, transform = open_clip.create_model_and_transforms(
            name, pretrained=str(local) if local.is_file() else weights, device=device, weights_only=True
        )
    except Exception as error:  # torch, pickle, safetensors and the hub each raise kinds of their own
        text = " ".join(str(error).split())[:200]
        raise BadInput(f"--weights: '{weights}' could not be loaded into {name}: {text}") from error
    normal = transform.transforms[-1]
    return ImageTextEncoder(model, open_clip.get_tokenizer(name), _pretrained_identity(name, weights, local),
                            int(model.visual.image_size[0]), normal.mean, normal.std)  # fmt: skip


def _pretrained_identity(name: str, weights: str, local: Path) -> dict[str, Any]:
    mark = _file_hash(local) if local.is_file() else weights
    return {
        "kind": "open_clip",
        "model": name,
        "weights": mark,
        "origin": f"open_clip {name}, weights {weights}",
    }


def _few(name: str, known: Sequence[str]) -> str:
    """Name at most five of many choices."""
    import difflib

    return nearest(name, difflib.get_close_matches(name, known, n=5, cutoff=0.0) or known[:5])


def _file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def new_small_clip(architecture: Mapping[str, Any]) -> torch.nn.Module:
    """Make an untrained open_clip model: {"embed_dim", "vision_cfg", "text_cfg"} as open_clip names them."""
    import_open_clip()
    from open_clip.model import CLIP

    # A new dict each: open_clip's configuration classes keep what they are given.
    vision = {key: tuple(v) if isinstance(v, list) else v for key, v in architecture["vision_cfg"].items()}
    return CLIP(
        embed_dim=architecture["embed_dim"], vision_cfg=vision, text_cfg=dict(architecture["text_cfg"])
    )


def save_small(folder: Path, model: torch.nn.Module, record: Mapping[str, Any]) -> None:
    """Write weights.safetensors and encoder.json; encoder.json comes last, so a folder with it is whole."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, str(folder / "weights.safetensors"))
    content = {
        "format_version": FORMAT_VERSION,
        **record,
        "weights": _file_hash(folder / "weights.safetensors"),
    }
    temporary = folder / "encoder.json.tmp"
    temporary.write_text(json.dumps(content, indent=2))
    temporary.rename(folder / "encoder.json")


def load_small(folder: Path) -> ImageTextEncoder:
    """Load what `save_small` wrote; raises BadInput naming the file and the rule."""
    from safetensors.torch import load_file

    path = folder / "encoder.json"
    try:
        record = json.loads(path.read_text())
        version = record["format_version"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(
            f"{path}: not an encoder of robot-rl ({type(error).__name__}); remove its folder to train it anew"
        ) from error
    if version != FORMAT_VERSION:
        raise BadInput(f"{path}: format_version is {version}, this version reads {FORMAT_VERSION}")
    lacks = [name for name in ("name", "architecture", "origin", "weights") if name not in record]
    if lacks:
        raise BadInput(f"{path}: lacks the field '{lacks[0]}'; remove its folder to train it anew")
    model = new_small_clip(record["architecture"])
    try:
        model.load_state_dict(load_file(str(folder / "weights.safetensors")))
    except Exception as error:  # safetensors raises its own undocumented kinds
        raise BadInput(f"{folder}/weights.safetensors: damaged or of another model: {error}"[:300]) from error
    context = record["architecture"]["text_cfg"]["context_length"]
    tokenizer = import_open_clip().get_tokenizer("ViT-B-32", context_length=context)
    identity = {
        "kind": "in-domain",
        "model": record["name"],
        "weights": record["weights"],
        "origin": record["origin"],
    }
    return ImageTextEncoder(model, tokenizer, identity, record["architecture"]["vision_cfg"]["image_size"])
