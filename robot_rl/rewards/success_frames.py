"""Which frames a success classifier learns from: what they show, who is held out, and hard negatives."""

from __future__ import annotations

import numpy as np

from robot_rl.errors import BadInput

FIT, CHOOSE, TEST = 0, 1, 2  # what an episode's frames are for
_PATCH_SEES_NOTHING = (0.5, 0.8)  # share of a picture's area: with so much covered, success cannot be seen
_PATCH = (0.1, 0.3)


def shown(success: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each frame shows, (N,) bool, and whether that is known (N,) bool.

    `success[t]` (N,) is measured after the action at t, which the frame at t + 1 shows; an episode's first
    frame, at one of `starts` (E,), is before any action, so nothing is known of it.
    """
    truth, known = np.zeros(len(success), bool), np.ones(len(success), bool)
    truth[1:] = success[:-1]
    truth[starts], known[starts] = False, False
    return truth, known


def split_episodes(reached: np.ndarray, shares: tuple[float, ...], seed: int) -> np.ndarray:
    """What each episode (E,) int64 is for: FIT, CHOOSE, TEST, by `shares` of those that reach the goal and
    of those that do not.

    Frames of an episode are alike, so that no share may hold frames of another's episodes. Raises BadInput
    where there are fewer episodes with success than shares.
    """
    counts = int(reached.sum()), int((~reached).sum())
    if counts[0] < len(shares):
        raise BadInput(
            f"labels: success is seen in {counts[0]} episodes; at least {len(shares)} are needed: fitting, "
            "the threshold and the report use different ones"
        )
    rng, use = np.random.default_rng([seed, 11]), np.zeros(len(reached), np.int64)
    for kind in (reached, ~reached):
        order = rng.permutation(np.flatnonzero(kind))
        cuts = np.round(np.cumsum(shares)[:-1] * len(order)).astype(int)
        if kind is reached:  # each share gets one at least
            cuts = np.clip(cuts, np.arange(1, len(shares)), len(order) - np.arange(len(shares) - 1, 0, -1))
        for which, part in enumerate(np.split(order, cuts)):
            use[part] = which
    return use


def near_misses(truth: np.ndarray, starts: np.ndarray, steps: int) -> np.ndarray:
    """Frames (N,) bool without success, at most `steps` before one of the same episode that shows it."""
    stops = np.append(starts[1:], len(truth))
    following = np.full(len(truth), len(truth) + steps)  # the next frame with success, itself included
    for start, stop in zip(starts, stops, strict=True):
        places = np.where(truth[start:stop], np.arange(start, stop), len(truth) + steps)
        following[start:stop] = np.minimum.accumulate(places[::-1])[::-1]
    return ~truth & (following - np.arange(len(truth)) <= steps)


def draw(truth: np.ndarray, near: np.ndarray, rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Frames (n,) int64 among `rows` to label: half show success, a quarter miss it narrowly, if there are.

    Where a kind has too few, the others take its place; n is `count`, or all of `rows` if they are fewer.
    """
    rng = np.random.default_rng([seed, 12])
    kinds = (rows[truth[rows]], rows[~truth[rows] & near[rows]], rows[~truth[rows] & ~near[rows]])
    wanted = [count // 2, count // 4, count - count // 2 - count // 4]
    taken = [min(len(kind), want) for kind, want in zip(kinds, wanted, strict=True)]
    for i in (2, 1, 0):  # what is short is made up for by plain negatives first
        taken[i] += min(len(kinds[i]) - taken[i], count - sum(taken))
    return np.sort(
        np.concatenate([rng.choice(k, n, replace=False) for k, n in zip(kinds, taken, strict=True)])
    )


def moments(frames: np.ndarray, starts: np.ndarray, strip: int, stride: int) -> np.ndarray:
    """The frames (n, strip) int64 of the strips that end with `frames` (n,), oldest first.

    They are `stride` steps apart; before an episode's start its first frame stands in.
    """
    first = starts[np.searchsorted(starts, frames, side="right") - 1]
    back = np.arange(strip - 1, -1, -1) * stride
    return np.maximum(frames[:, None] - back, first[:, None])


def strips(
    vectors: np.ndarray, frames: np.ndarray, starts: np.ndarray, strip: int, stride: int
) -> np.ndarray:
    """Features (n, strip * D) float32 of the strips that end with `frames`, of vectors (N, D)."""
    rows = moments(frames, starts, strip, stride)
    return np.asarray(vectors[rows.reshape(-1)], np.float32).reshape(len(frames), -1)


def covered(pictures: np.ndarray, truth: np.ndarray, seed: int) -> np.ndarray:
    """Pictures (n, H, W, 3) uint8 behind a patch of one colour: none of them shows success any more.

    Of those that did (`truth`), the patch leaves too little to be seen; of the others it hides a part.
    """
    rng, found = np.random.default_rng([seed, 13]), pictures.copy()
    height, width = pictures.shape[1:3]
    for picture, is_success in zip(found, truth, strict=True):
        share = rng.uniform(*(_PATCH_SEES_NOTHING if is_success else _PATCH))
        tall = rng.uniform(share, 1.0)  # of the height; the width follows from the area
        rows, columns = max(1, round(tall * height)), max(1, round(share / tall * width))
        top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
        picture[top : top + rows, left : left + columns] = rng.integers(0, 256, 3)
    return found


def corrupted(success: np.ndarray, failure: np.ndarray, strip: int, seed: int) -> np.ndarray:
    """Strips (n, strip * D) that begin in success and end without it: what counts is what is seen last.

    `success` (n, strip * D) and `failure` (m, strip * D) are strips' features. Nothing for single frames.
    """
    if strip == 1 or not len(failure):
        return success[:0]
    rng = np.random.default_rng([seed, 14])
    made = success.reshape(len(success), strip, -1).copy()
    others = failure.reshape(len(failure), strip, -1)
    made[:, -1] = others[rng.integers(len(others), size=len(made)), -1]
    return made.reshape(success.shape)
