"""Whatever a file contains: no traceback, and no more than a second."""

import gc
import string
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paths import CONFIGS

from rnnbench.config import check_config
from rnnbench.config.diagnostics import render
from rnnbench.config.load import parse_override

TEXTS = [path.read_text() for path in sorted(CONFIGS.glob("*.yaml"))] + [
    path.read_bytes().decode(errors="replace")
    for path in sorted((Path(__file__).parent / "broken").glob("*.yaml"))
    if path.stat().st_size < 3_000
]
# The characters and words that YAML and configs give a meaning to.
TOKENS = [
    *"{}[]:,-?&*!|>'\"%@`#\n\t ~<=.",
    *("\n  ", "\n    - ", ": ", "---\n", "...\n", "<<: ", "&a ", "*a", "!!", "\x00", "\ufeff"),
    *("null", "true", ".nan", "1e-3", "-1", "99999999999999999999", "é", "名", "x-a"),
    *("sweep", "grid", "random", "values", "count", "trials", "low", "high", "match_params"),
    *("name", "seed", "dataset", "model", "layers", "training", "type", "units", "loss", "ignore"),
    *("imdb", "toy_sequence", "lstm", "gru", "dense", "embedding", "bidirectional", "layer"),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(TOKENS[-20:]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(TOKENS[-18:]), inner, max_size=4)
    ),
    max_leaves=20,
)
quickly = settings(
    max_examples=250,
    deadline=1000,  # milliseconds
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("mangled") / "c.yaml"


def _check(path, data, *overrides):
    path.write_bytes(data if isinstance(data, bytes) else data.encode(errors="surrogatepass"))
    checked = check_config(path, overrides)
    assert (checked.config is None) == bool(checked.errors)
    for diagnostic in checked.errors + checked.warnings:
        assert diagnostic.message
        lines = diagnostic.span.source.lines
        line, column = diagnostic.span.line, diagnostic.span.column
        if line is not None:
            assert 1 <= line <= len(lines)
            assert 1 <= column <= len(lines[line - 1]) + 1
        assert all(line.isprintable() for line in render([diagnostic]).split("\n"))
    render(checked.errors)
    return checked


@quickly
@given(st.text() | st.text(string.printable))
def test_any_text(path, text):
    _check(path, text)


@quickly
@given(st.binary())
def test_any_bytes(path, data):
    _check(path, data)


@quickly
@given(st.lists(st.sampled_from(TOKENS), max_size=60).map("".join))
def test_any_words_of_yaml(path, text):
    _check(path, text)


@st.composite
def mangled(draw):
    """A config in which parts have been cut out, doubled, moved or written over."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        other = draw(st.integers(0, len(text)))
        text = draw(
            st.sampled_from(
                [
                    text[:start] + text[end:],
                    text[:end] + text[start:],
                    text[:start] + draw(st.sampled_from(TOKENS)) + text[end:],
                    text[:other] + text[start:end] + text[other:],
                ]
            )
        )
    return text


@quickly
@given(mangled())
def test_any_mangled_config(path, text):
    _check(path, text)


@settings(quickly, max_examples=60)
@given(VALUES, st.sampled_from(TEXTS[:7]), st.lists(st.sampled_from(TOKENS), max_size=4))
def test_any_value_of_any_key(path, value, text, words):
    """Options reach every key with every kind of value."""
    import yaml

    key = ".".join(words) or "model.layers.1"
    written = yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n")
    sections = ("training", "model.layers.1", "sweep", "sweep.random.values")
    for name in (key, *sections, "dataset.num_words", "training.metrics", "sweep.grid"):
        _check(path, text, parse_override(f"{name}={written.strip()}"))


def _nested(levels):
    return "a: " + "[" * levels + "]" * levels


def _aliases(depth, value):
    lines = ["a0: &a0 {x: 1}"]
    for i in range(1, depth):
        lines.append(f"a{i}: &a{i} {value.replace('*a', f'*a{i - 1}')}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_aliases(30, f"[{', '.join(['*a'] * 10)}]"), "more than 3000 values"),
        (_aliases(30, f"{{<<: [{', '.join(['*a'] * 10)}]}}"), "more than 3000 values"),
        (_aliases(700, "{<<: *a}"), "nested more than 20 levels deep"),
        (_aliases(700, "[*a]"), "nested more than 20 levels deep"),
        (_nested(90_000), "nested more than 20 levels deep"),
        ("a: " + "{b: " * 5_000, "nested more than 20 levels deep"),
        ("\n".join(" " * i + "a:" for i in range(600)), "nested more than 20 levels deep"),
        ("- " * 50_000, "nested more than 20 levels deep"),
        ("a: &a [*a, *a]", "stands for the value that it is in"),
        ("a: [" + "x, " * 60_000 + "]", "more than 3000 values"),
        ("\n".join(f"k{i}: {i}" for i in range(15_000)), "more than 3000 values"),
        ("a: " + "x" * 199_000 + ": y", "not valid YAML"),
        ("x" * 300_000, "more than 200000 characters"),
    ],
    ids=lambda value: value[:24] if value[:1].islower() else None,
)
def test_what_is_blown_up_is_refused(path, text, message, request):
    # Collecting garbage would go through all that other tests have left in memory.
    request.addfinalizer(gc.enable)
    gc.disable()
    started = time.thread_time()
    checked = _check(path, text)
    assert time.thread_time() - started < 1
    assert message in render(checked.errors)
