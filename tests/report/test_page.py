"""The page is one inert file: all of it embedded, every text escaped, written whole or not at all."""

import re

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.report.figures import Bar, success_bars
from robot_rl.report.page import (
    Callout,
    Code,
    Figure,
    KeyFigure,
    KeyFigures,
    Section,
    Table,
    Text,
    Video,
    render_page,
    write_page,
)
from robot_rl.report.video import contact_sheet, encode_mp4, read_mp4

EVIL = "<script>alert(1)</script>"


def frames(n=6):
    return np.random.default_rng(0).integers(0, 255, (n, 33, 48, 3), dtype=np.uint8)


def sections():
    return [
        Section("", KeyFigures([KeyFigure("74 %", EVIL, EVIL)]), Callout("warn", EVIL)),
        Section(
            f"Task {EVIL}",
            Text(f"{EVIL}\n\nsecond"),
            Table(["name", EVIL], [[EVIL, 1.0], ["b", None]], caption=EVIL, highlight=1),
            Figure(success_bars([Bar(EVIL, 0.5, 0.4, 0.6, 10)]), EVIL, title=EVIL, half=True),
            Figure(contact_sheet(frames(), 3), f'" onerror="x {EVIL}'),
            Video(encode_mp4(frames(), fps=10), EVIL),
            Code(f"robot-rl report  # {EVIL}", EVIL),
        ),
        Section("Second", Text("end")),
    ]


@pytest.fixture(scope="module")
def page():
    return render_page(EVIL, EVIL, sections(), EVIL)


def test_nothing_is_fetched(page):
    assert "http://" not in page and "https://" not in page
    assert "default-src 'none'" in page
    sources = re.findall(r'\s(?:src|href)="([^"]*)"', page)
    assert sources and all(source.startswith(("data:", "#")) for source in sources)
    assert {source.split(";")[0] for source in sources} >= {"data:image/png", "data:video/mp4"}
    assert not re.findall(r"<(link|script|iframe)\b|@import|url\((?!#)", page)


def test_texts_from_data_are_inert(page):
    assert EVIL not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 14
    assert 'alt="&#34; onerror=&#34;x' in page


def test_the_page_shows_every_block(page):
    assert "<p>second</p>" in page
    assert '<tr class="on"><td class="l">b</td><td class="r">–</td></tr>' in page
    assert "<b>74\u00a0%</b>" in page
    assert "robot-rl report  # " in page
    assert len(re.findall(r"<svg ", page)) == 1


def test_the_page_stays_small(page):
    assert len(page) < 200_000


def test_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "run" / "report.html"
    assert write_page(path, "old", "", []) == path

    def killed(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(OSError, match="disk full"):
        write_page(path, "new", "", sections())
    assert "<h1>old</h1>" in path.read_text()
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    "svg",
    [
        "<svg><script>x</script></svg>",
        '<svg onload="x"></svg>',
        "<svg><rect onclick=x></svg>",
        '<svg><image href="file:///x"/></svg>',
        "<p>no svg</p>",
    ],
)
def test_svg_that_acts_is_refused(svg):
    with pytest.raises(BadInput, match="needs SVG without scripts"):
        Figure(svg, "c")


def test_svg_whose_text_only_looks_active_is_accepted():
    Figure('<svg aria-label="condition one = 1"><text>on x = 2, href=y</text></svg>', "c")


def test_tables_and_pictures_are_checked():
    with pytest.raises(BadInput, match="row 0 has 1 cells, its header 2"):
        Table(["a", "b"], [["x"]])
    with pytest.raises(BadInput, match="2 letters of l and r"):
        Table(["a", "b"], [], align="lc")
    with pytest.raises(BadInput, match="PNG, JPEG and MP4"):
        Figure(b"GIF89a", "c")


def test_mp4_round_trip_and_limits(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(encode_mp4(frames(), fps=29.97))
    assert read_mp4(path) == path.read_bytes()
    with pytest.raises(BadInput, match="more than the 0.001 MB"):
        read_mp4(path, limit_mb=0.001)
    with pytest.raises(BadInput, match="more than the 0.001 MB"):
        encode_mp4(frames(), fps=10, limit_mb=0.001)
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(BadInput, match="not a readable video"):
        read_mp4(tmp_path / "text.mp4")
    with pytest.raises(BadInput, match="no such video file"):
        read_mp4(tmp_path / "absent.mp4")


def test_a_codec_that_browsers_refuse_is_named(tmp_path):
    import av

    path = tmp_path / "old.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for image in frames():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image[:32].copy(), format="rgb24")))
        container.mux(stream.encode())
    with pytest.raises(BadInput, match="this is mpeg4"):
        read_mp4(path)


def test_contact_sheet_places_frames_in_rows():
    import io

    from matplotlib.image import imread

    sheet = imread(io.BytesIO(contact_sheet(frames(5), columns=3, gap=2)), format="png")
    assert sheet.shape == (2 * 33 + 2, 3 * 48 + 4, 4)
    np.testing.assert_array_equal(np.round(sheet[35:, 50:98, :3] * 255), frames(5)[4])
    assert sheet[:33, 48:50, 3].max() == 0
