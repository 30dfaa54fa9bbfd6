"""Reports in a real browser: sorting, colours, and a narrow window."""

import json
import re
import shutil
import subprocess
from html import unescape

import pytest
from made_runs import make_run, make_sweep

from rnnbench.report import Block, render_page, render_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no headless browser is installed")


@pytest.fixture
def ask(tmp_path):
    """What a script finds out on a page.

    The page stands in a frame, which can be as wide as a phone: no window is that narrow.
    """

    def ask(html, script, *options, is_narrow=False):
        asking = f"top.postMessage(JSON.stringify((() => {{ {script} }})()), '*')"
        (tmp_path / "page.html").write_text(f"{html}<script>{asking}</script>")
        width = 320 if is_narrow else 1200
        (tmp_path / "frame.html").write_text(
            "<script>addEventListener('message', e => { document.title = e.data; });</script>"
            f"<iframe src='page.html' width='{width}' height='900' style='border: 0'></iframe>"
        )
        done = subprocess.run(
            [
                BROWSER,
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *(f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000"),
                *("--dump-dom", *options, str(tmp_path / "frame.html")),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        (title,) = re.findall(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
        return json.loads(unescape(title))

    return ask


@pytest.fixture
def page(tmp_path):
    """The report of a sweep whose runs' accuracy is not in the order of their seeds."""
    trials = [("s-lstm", 0), ("s-lstm", 1), ("s-lstm", 2), ("s-gru", 0)]
    sweep = make_sweep(tmp_path, "s", trials)
    for (name, seed), accuracy in zip(trials[:3], (0.8, 0.9, 0.095), strict=True):
        make_run(sweep.path, changes={"name": name}, seed=seed, metrics={"accuracy": accuracy})
    return render_report(sweep)


def test_a_heading_sorts_its_table_and_what_is_empty_comes_last(ask, page):
    found = ask(
        page,
        """
        const table = Array.from(document.querySelectorAll("table")).find(
            (table) => table.getAttribute("aria-label").startsWith("The run of each"));
        const column = Array.from(table.tHead.rows[0].cells).findIndex(
            (cell) => cell.textContent === "test accuracy");
        const heading = table.tHead.rows[0].cells[column];
        const button = heading.querySelector("button");
        button.focus();
        const found = [document.activeElement === button, heading.getAttribute("aria-sort")];
        for (let i = 0; i < 2; i++) {
            button.click();
            found.push([heading.getAttribute("aria-sort"),
                ...Array.from(table.tBodies[0].rows, (row) => row.cells[column].textContent)]);
        }
        table.tHead.rows[0].cells[0].querySelector("button").click();
        found.push([heading.getAttribute("aria-sort"),
            ...Array.from(table.tBodies[0].rows, (row) => row.cells[0].textContent)]);
        return found;
        """,
    )
    assert found == [
        True,
        None,
        ["ascending", "0.09500", "0.8000", "0.9000", ""],
        ["descending", "0.9000", "0.8000", "0.09500", ""],
        [None, "s-gru", "s-lstm", "s-lstm", "s-lstm"],
    ]


@pytest.mark.parametrize(
    ("option", "text", "paper"),
    [(1, "rgb(28, 28, 28)", "rgb(255, 255, 255)"), (0, "rgb(230, 230, 230)", "rgb(22, 22, 22)")],
    ids=["light", "dark"],
)
def test_a_page_is_light_or_dark_and_its_plots_keep_their_colours(ask, page, option, text, paper):
    found = ask(
        page,
        """
        const body = getComputedStyle(document.body);
        const svg = document.querySelector("svg");
        return [body.color, body.backgroundColor, getComputedStyle(svg).backgroundColor,
            getComputedStyle(svg.querySelector("text")).fill];
        """,
        f"--blink-settings=preferredColorScheme={option}",
    )
    assert found == [text, paper, "rgb(255, 255, 255)", "rgb(0, 0, 0)"]


@pytest.mark.parametrize("is_narrow", [True, False])
def test_a_plot_is_never_cut_and_a_table_scrolls_in_its_box(ask, page, is_narrow):
    plots, cut, tables, code, paper = ask(
        page,
        """
        const width = (element) => Math.round(element.getBoundingClientRect().width);
        const main = width(document.querySelector("main"));
        const boxes = Array.from(document.querySelectorAll("div.box"));
        const background = (element) => getComputedStyle(element).backgroundColor;
        return [
            Array.from(document.querySelectorAll("figure svg"), (svg) => width(svg) / main),
            Array.from(document.querySelectorAll("figure"))
                .filter((figure) => figure.scrollWidth > figure.clientWidth).length,
            boxes.map((box) => [width(box) <= main, box.scrollWidth > box.clientWidth]),
            background(document.querySelector("pre")),
            background(boxes[0]),
        ];
        """,
        is_narrow=is_narrow,
    )
    assert len(plots) >= 2
    assert cut == 0
    assert all(part == 1 if is_narrow else 0.5 < part <= 1 for part in plots)
    assert all(fits for fits, _ in tables)
    assert any(scrolls for _, scrolls in tables)
    assert code != paper


@pytest.mark.parametrize("is_narrow", [True, False])
def test_a_page_is_as_wide_as_its_window_and_loads_nothing(ask, page, tmp_path, is_narrow):
    run = render_report(make_run(tmp_path, changes={"name": "a_long_name_" * 6}))
    for html in (page, run):
        found = ask(
            html,
            """
            const root = document.documentElement;
            return [innerWidth, root.scrollWidth - root.clientWidth,
                performance.getEntriesByType("resource").length];
            """,
            is_narrow=is_narrow,
        )
        assert found == [320 if is_narrow else 1200, 0, 0]


@pytest.mark.parametrize("is_narrow", [True, False])
def test_a_tab_shows_its_panel_and_hides_the_others(ask, is_narrow):
    sections = {name: [Block("list", [f"the panel of {name}"], "List")] for name in "abc"}
    found = ask(
        "<script>window.failures = []; onerror = (text) => { failures.push(text); };</script>"
        + render_page("title", [], sections, has_tabs=True),
        """
        const links = Array.from(document.querySelectorAll("nav a"));
        const shown = () => [
            Array.from(document.querySelectorAll("main section"))
                .filter((section) => section.offsetHeight > 0)
                .map((section) => section.querySelector("li").textContent),
            links.filter((link) => link.hasAttribute("aria-current")).map((l) => l.textContent),
        ];
        const found = [shown()];
        for (const i of [2, 1]) {
            links[i].click();
            dispatchEvent(new HashChangeEvent("hashchange"));  // else it comes after this script
            found.push(shown());
        }
        return [found, scrollY, failures];
        """,
        is_narrow=is_narrow,
    )
    expected = [[[f"the panel of {name}"], [name]] for name in ("a", "c", "b")]
    assert found == [expected, 0, []]
