"""One self-contained HTML page from plain blocks: nothing fetched, no script, every text escaped."""

from __future__ import annotations

import base64
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from robot_rl.errors import BadInput, need

_ACTIVE_SVG = re.compile(r"<\s*(script|foreignObject|iframe)|<[^>]*\son\w+\s*=", re.I)
_OUTSIDE_LINK = re.compile(r"href\s*=\s*[\"']?(?![\"'#]|data:image/)", re.I)


@dataclass(frozen=True)
class Text:
    """Paragraphs of plain text, parted by blank lines."""

    text: str
    kind: ClassVar[str] = "text"

    @property
    def paragraphs(self) -> list[str]:
        """The paragraphs without the blank lines between them."""
        return [part.strip() for part in re.split(r"\n\s*\n", self.text) if part.strip()]


@dataclass(frozen=True)
class Table:
    """Rows under headers; `align` has one letter a column, l or r (default: first left, the others right)."""

    headers: Sequence[str]
    rows: Sequence[Sequence[Any]]  # None shows as a dash; equal decimals make numbers line up
    align: str = ""
    caption: str = ""
    highlight: int | None = None  # the row to set off
    kind: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        columns = len(self.headers)
        for i, row in enumerate(self.rows):
            if len(row) != columns:
                raise BadInput(f"table '{self.caption}': row {i} has {len(row)} cells, its header {columns}")
        if self.align and (len(self.align) != columns or set(self.align) - {"l", "r"}):
            raise BadInput(
                f"table '{self.caption}': align needs {columns} letters of l and r, got '{self.align}'"
            )

    @property
    def sides(self) -> str:
        """One letter a column."""
        return self.align or "l" + "r" * (len(self.headers) - 1)


@dataclass(frozen=True)
class Figure:
    """A plot (SVG text from this package) or a picture (PNG or JPEG bytes) with what one sees in it."""

    image: str | bytes
    caption: str
    title: str = ""
    half: bool = False  # two such figures stand side by side where the page is wide enough
    kind: ClassVar[str] = "figure"

    def __post_init__(self) -> None:
        if isinstance(self.image, bytes):
            _media_type(self.image)
        elif not self.image.startswith("<svg") or _is_active(self.image):
            raise BadInput(
                f"figure '{self.title or self.caption}': needs SVG without scripts or outside links"
            )

    @property
    def svg(self) -> str:
        """The SVG text, empty for a picture."""
        return self.image if isinstance(self.image, str) else ""

    @property
    def data(self) -> str:
        """The picture as a data address, empty for SVG."""
        return _data_address(self.image) if isinstance(self.image, bytes) else ""


@dataclass(frozen=True)
class Video:
    """An H.264 MP4 that plays in the page, muted and looped."""

    mp4: bytes
    caption: str
    title: str = ""
    half: bool = False
    kind: ClassVar[str] = "video"

    @property
    def data(self) -> str:
        """The video as a data address."""
        return _data_address(self.mp4)


@dataclass(frozen=True)
class KeyFigure:
    """One large number: the value as text, what it is, and how it was measured."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class KeyFigures:
    """A row of large numbers."""

    items: Sequence[KeyFigure]
    kind: ClassVar[str] = "key_figures"


@dataclass(frozen=True)
class Callout:
    """A remark set off from the text; a warning says what a reader must not overlook."""

    level: Literal["info", "warn"]
    text: str
    title: str = ""
    kind: ClassVar[str] = "callout"


@dataclass(frozen=True)
class Code:
    """Commands or a file, as they are typed."""

    text: str
    caption: str = ""
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Details:
    """Blocks that a reader opens by a click on the summary, for what is long."""

    summary: str
    blocks: Sequence[Block]
    open: bool = False
    kind: ClassVar[str] = "details"


Block = Text | Table | Figure | Video | KeyFigures | Callout | Code | Details


@dataclass(frozen=True, init=False)
class Section:
    """A titled part of the page; without a title it continues the head of the page."""

    title: str
    blocks: tuple[Block, ...]

    def __init__(self, title: str, *blocks: Block) -> None:
        object.__setattr__(self, "title", title)
        object.__setattr__(self, "blocks", blocks)

    @property
    def anchor(self) -> str:
        """The section's name in an address, from its title."""
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")


def render_page(title: str, subtitle: str, sections: Sequence[Section], footer: str = "") -> str:
    """The page as HTML text."""
    jinja2 = need("jinja2", "report")
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    # A number and its percent sign stay on one line; code is left as it is typed.
    environment.filters["tidy"] = lambda text: text.replace(" %", "\u00a0%")
    template = environment.get_template("page.html.j2")
    return template.render(title=title, subtitle=subtitle, sections=list(sections), footer=footer)


def write_page(path: Path, title: str, subtitle: str, sections: Sequence[Section], footer: str = "") -> Path:
    """Write the page to `path` in one step: a reader finds the old page or the new one, never half of one."""
    path = Path(path)
    page = render_page(title, subtitle, sections, footer)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp lets nobody else read; a report is there to be shared
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def _is_active(svg: str) -> bool:
    """Whether SVG would run something or reach outside; what it only shows as text does not count."""
    tags = re.sub(r">[^<]*", ">", svg)
    return bool(_ACTIVE_SVG.search(re.sub(r'"[^"]*"', '""', tags)) or _OUTSIDE_LINK.search(tags))


def _media_type(content: bytes) -> str:
    """The media type that the first bytes tell; BadInput for anything a page cannot show."""
    if content.startswith(b"\x89PNG\r\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[4:8] == b"ftyp":
        return "video/mp4"
    raise BadInput("page: embeds PNG, JPEG and MP4; these bytes are none of them")


def _data_address(content: bytes) -> str:
    """`content` as an address that holds the whole of it."""
    return f"data:{_media_type(content)};base64,{base64.b64encode(content).decode()}"
