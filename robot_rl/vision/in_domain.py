"""Trains a small open_clip model on pictures of random simulator states and sentences true of them.

It stands in for a pretrained model where no network is at hand. It knows one scene and the task card's
words, nothing else, and says so in its `origin`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from robot_rl.specs.tasks import TaskCard
from robot_rl.vision.captions import captions
from robot_rl.vision.encoder import _MEAN, _STD, new_small_clip, save_small
from robot_rl.vision.open_clip_import import import_open_clip


@dataclass(frozen=True)
class InDomainConfig:
    """How the model is shaped and trained."""

    frames: int = 6000
    steps: int = 450
    batch_size: int = 128
    texts: int = 64  # sentences a step
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    width: int = 16  # of the residual image tower
    embed_dim: int = 128
    image_size: int = 64
    seed: int = 7001

    def architecture(self) -> dict:
        """Return the model in open_clip's terms."""
        vision = {
            "image_size": self.image_size,
            "layers": [1, 1, 1, 1],
            "width": self.width,
            "head_width": 64,
        }
        text = {"context_length": 24, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1}
        return {"embed_dim": self.embed_dim, "vision_cfg": vision, "text_cfg": text}


def key(task: TaskCard, config: InDomainConfig) -> str:
    """Name an in-domain model by all that decides it: 16 hex digits."""
    seen = task.model_dump(mode="json", include={"environment", "camera", "scales"})
    content = json.dumps([seen, asdict(config)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def train_in_domain(
    task: TaskCard,
    images: np.ndarray,
    levels: np.ndarray,
    folder: Path,
    config: InDomainConfig,
    progress: Callable[[int, str], object] | None = None,
) -> None:
    """Train on pictures (N, size, size, 3) uint8 and levels (N, scales); write the model to `folder`."""
    torch.manual_seed(config.seed)
    model = new_small_clip(config.architecture())
    told = captions(task.scales)
    context = config.architecture()["text_cfg"]["context_length"]
    tokens = import_open_clip().get_tokenizer("ViT-B-32", context_length=context)(list(told.texts))
    truth = torch.from_numpy(told.true_of(levels))
    pictures = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(step, config.steps)
        frames = torch.randint(len(pictures), (config.batch_size,))
        some = torch.randperm(len(tokens))[: config.texts]
        image_vectors = model.encode_image(_vary(pictures[frames]), normalize=True)
        text_vectors = model.encode_text(tokens[some], normalize=True)
        logits = model.logit_scale.exp() * image_vectors @ text_vectors.T
        loss = multi_positive_loss(logits, truth[frames][:, some].float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0.0, math.log(100.0))
        if progress:
            progress(1, f"loss {float(loss.detach()):.2f}" if step % 10 == 0 else "")
    origin = (
        f"small open_clip model trained in-domain by robot-rl on {len(images)} pictures of random simulator "
        f"states of {task.name}, with {len(told.texts)} sentences from its task card's words; no reward read"
    )
    record = {"name": f"in-domain {task.name}", "architecture": config.architecture(), "origin": origin}
    save_small(folder, model.eval(), {**record, "config": asdict(config)})


def multi_positive_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Contrast each picture with all sentences and each sentence with all pictures, several being true.

    logits and truth are (pictures, texts), truth 1 where the sentence is true of the picture. Cross-entropy
    with the truth spread evenly over the true ones; rows or columns without any are left out
    (the image-text form of Khosla et al. 2020, Supervised Contrastive Learning, eq. 2).
    """
    return _spread(logits, truth) + _spread(logits.T, truth.T)


def _spread(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    count = truth.sum(1)
    known = count > 0
    return (-(truth * logits.log_softmax(1)).sum(1)[known] / count[known]).mean()


def _schedule(step: int, steps: int, warm: int = 30) -> float:
    return min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * step / steps)) + 1e-3


def _vary(pictures: torch.Tensor, shift: int = 2) -> torch.Tensor:
    """Normalise, and vary brightness, colour and place a little, as a camera in another light would."""
    values = (pictures.float() / 255.0 - torch.tensor(_MEAN).view(1, 3, 1, 1)) / torch.tensor(_STD).view(
        1, 3, 1, 1
    )
    n, _, height, width = values.shape
    values = values * (0.9 + 0.2 * torch.rand(n, 1, 1, 1)) + 0.1 * (torch.rand(n, 3, 1, 1) - 0.5)
    padded = torch.nn.functional.pad(values, (shift,) * 4, mode="replicate")
    down, right = torch.randint(0, 2 * shift + 1, (2,)).tolist()
    return padded[:, :, down : down + height, right : right + width]
