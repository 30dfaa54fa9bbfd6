import pytest
from pages import PageReader

from rnnbench import plots
from rnnbench.report.page import (
    Cell,
    Code,
    Image,
    Page,
    Picture,
    Points,
    Section,
    Table,
    Text,
    count,
    figure,
    render,
)

NASTY = """<script>alert("&amp; 'x'")</script> {{ 7 * 7 }} https://elsewhere.example/"""


def test_every_text_is_shown_as_it_is(tmp_path):
    image = tmp_path / "a.png"
    image.write_bytes(b"\x89PNG")
    blocks = [
        Text([f"1 {NASTY}"]),
        Points([f"2 {NASTY}"], f"3 {NASTY}"),
        Table(f"4 {NASTY}", [f"5 {NASTY}"], [[Cell(f"6 {NASTY}", is_marked=True)]]),
        Code(f"7 {NASTY}", [f"8 {NASTY}"]),
        Image(image, f"9 {NASTY}"),
    ]
    html = render(Page(f"0 {NASTY}", [f"10 {NASTY}"], [Section(f"11 {NASTY}", blocks)]))
    page = PageReader(html)
    for number in (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11):
        assert f"{number} {NASTY}" in page.text
    ((_, shown),) = [tag for tag in page.tags if tag[0] == "img"]
    assert shown == {"src": "data:image/png;base64,iVBORw==", "alt": f"9 {NASTY}"}
    assert page.count("script") == 1  # our own


def test_a_page_for_a_phone_in_light_and_dark():
    html = render(Page("a", [], [Section("b", [Table("c", ["d"], [[Cell("e")]])])]))
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html
    assert "@media (prefers-color-scheme: dark)" in html
    (around,) = [tag for tag in PageReader(html).tags if tag[1].get("class") == "box"]
    assert around == ("div", {"class": "box", "role": "region", "aria-label": "c", "tabindex": "0"})


def test_a_section_without_anything_is_left_out():
    html = render(Page("a", [], [Section("empty", []), Section("full", [Text(["x"])])]))
    assert PageReader(html).headings == ["full"]
    assert html.count("#section-1") == 1


def test_cells_of_numbers():
    assert figure(0.12345) == Cell("0.1235", 0.12345)
    assert figure(12.0, "12 s") == Cell("12 s", 12.0)
    assert figure(float("nan")) == Cell("nan")
    assert count(1234) == Cell("1,234", 1234)
    assert (figure(None), count(None)) == (Cell(""), Cell(""))


@pytest.fixture
def svg():
    history = [{"epoch": e, "loss": 1 / e, "val_loss": 2 / e} for e in (1, 2, 3)]

    def draw(path):
        plots.draw_history(history, "loss", "a < b", path)

    return lambda name: plots.draw_inline(draw, name, 'loss, "by" epoch')


def test_two_pictures_on_a_page_share_no_names(svg):
    blocks = [Picture(svg("one")), Picture(svg("two"))]
    page = PageReader(render(Page("t", [], [Section("s", blocks)])))
    named = [name for name in page.ids if not name.startswith("section-")]
    assert {name.partition("-")[0] for name in named} == {"one", "two"}
    pictures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert [p["aria-label"] for p in pictures] == ['loss, "by" epoch'] * 2
    assert "a < b" in page.text
    assert "validation loss" in page.text


def test_a_picture_has_the_colours_of_its_page_and_is_the_same_each_time(svg):
    first = svg("one")
    assert first == svg("one")
    assert "#000000" not in first
    assert "#ffffff" not in first
    assert "currentColor" in first
    assert "var(--page)" in first
    assert "http" not in first
