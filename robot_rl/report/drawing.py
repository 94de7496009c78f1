"""How every figure of a report looks: one palette, one style, SVG that follows light and dark mode."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from robot_rl.errors import need

matplotlib = need("matplotlib", "report")
_figure = need("matplotlib.figure", "report")
_image = need("matplotlib.image", "report")
Line2D = need("matplotlib.lines", "report").Line2D

# Each colour is a role: the SVG names the page's CSS variable and carries this light value as its fallback.
INK, MUTED, GRID, QUIET = "#1f262d", "#68727d", "#dfe3e6", "#b4bec7"
ACCENT, ORANGE, GREEN, PURPLE, RED, BROWN = "#1f6f8b", "#c8702a", "#3f8f5f", "#7c5fa6", "#b5444f", "#8a7456"
SERIES = (ACCENT, ORANGE, GREEN, PURPLE, RED, BROWN)
ROLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    QUIET: "quiet",
    ACCENT: "accent",
    ORANGE: "orange",
    GREEN: "green",
    PURPLE: "purple",
    RED: "red",
    BROWN: "brown",
}
FULL_WIDTH, HALF_WIDTH = 860, 420  # px, the two widths at which the page shows a figure

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: selectable, in the page's font
    "svg.hashsalt": "robot_rl",  # the same data gives the same bytes
    "text.parse_math": False,  # a dollar sign in a task text is a dollar sign
    "font.family": "DejaVu Sans",  # ships with matplotlib; wider than the page's font
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.linewidth": 1.0,
    "grid.linewidth": 1.0,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 12,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 7,
    "ytick.major.pad": 7,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.color": INK,
    "axes.titlecolor": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": QUIET,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": GRID,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw and save inside this block to get the report's look; nothing global changes."""
    with matplotlib.rc_context(_STYLE):
        yield


def figure(width: float, height: float, layout: str | None = "constrained") -> Any:
    """An empty matplotlib figure, `width` x `height` in CSS pixels."""
    return _figure.Figure(figsize=(width / 72, height / 72), dpi=72, layout=layout)


def to_svg(fig: Any, label: str) -> str:
    """The figure as SVG to put inside HTML; `label` is read out to those who cannot see it."""
    buffer = io.StringIO()
    fig.savefig(buffer, format="svg", metadata={"Date": None})
    svg = re.sub(
        r"(?s)^.*?<svg[^>]*>|<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>",
        "",
        buffer.getvalue(),
    )
    svg = svg.replace("xlink:href", "href")
    # A hundredth of a pixel is enough; long lines weigh half.
    svg = re.sub(r' d="[^"]*"', lambda match: re.sub(r"(\.\d\d)\d+", r"\1", match[0]), svg)
    svg = re.sub(r'"data:image/png;base64,\s*([^"]+)"', lambda match: f'"{_as_jpeg(match[1])}"', svg)
    for colour, role in ROLES.items():
        svg = svg.replace(colour, f"var(--{role}, {colour})")
    # Several figures share one page: their ids (clip paths, markers) must not meet.
    prefix = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'( id="|url\(#| href="#)', rf"\g<1>{prefix}-", svg)
    width, height = fig.get_size_inches() * 72
    head = (
        f'<svg role="img" aria-label="{html.escape(label)}" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" stroke-linejoin="round" stroke-linecap="butt">'
    )
    return head + svg.strip() + "\n"


def encode_image(image: np.ndarray, kind: str) -> bytes:
    """An image (H, W, 3) uint8 (PNG also with alpha, H, W, 4) as "png" or "jpeg" bytes."""
    buffer = io.BytesIO()
    options = {"quality": 88} if kind == "jpeg" else {}
    _image.imsave(buffer, image, format=kind, pil_kwargs=options)
    return buffer.getvalue()


def _as_jpeg(png_base64: str) -> str:
    """A camera frame that matplotlib wrote as PNG, as a data address a fifth its size."""
    pixels = _image.imread(io.BytesIO(base64.b64decode(png_base64)), format="png")
    jpeg = encode_image(np.round(pixels[..., :3] * 255).astype(np.uint8), "jpeg")
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
