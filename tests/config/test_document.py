import pytest

from rnnbench.config.problems import Source
from rnnbench.config.reading import read_text


def _option(text):
    return Source(text, text, is_option=True)


@pytest.fixture
def document():
    return read_text("model:\n  layers:\n    - {type: gru, units: 2}\nname: x\n", "c.yaml")


def test_override_replaces_a_value_and_its_place(document):
    document.override("model.layers.0.units", 5, _option("--set model.layers.0.units=5"))
    assert document.data["model"]["layers"][0] == {"type": "gru", "units": 5}
    place = document.place(("model", "layers", 0, "units"))
    assert (str(place), place.column) == ("--set model.layers.0.units=5", 28)
    key = document.place(("model", "layers", 0, "units"), key=True)
    assert (key.column, key.length) == (7, 20)
    assert str(document.place(("model", "layers", 0, "type"))) == "c.yaml:3:14"


def test_override_of_an_option_that_has_a_name_of_its_own(document):
    document.override("training.epochs", 5, _option("--epochs 5"))
    place = document.place(("training", "epochs"))
    assert (str(place), place.column, place.length) == ("--epochs 5", 10, 1)
    document.override("dataset.limit", 64, _option("--smoke"))
    assert document.place(("dataset", "limit")).column == 1


def test_override_makes_what_is_missing(document):
    document.override("training.early_stopping.patience", 3, _option("--set a=3"))
    assert document.data["training"] == {"early_stopping": {"patience": 3}}
    assert str(document.place(("training", "early_stopping"))) == "--set a=3"


def test_override_makes_a_value_readable_that_was_not():
    document = read_text("seed: *x\n", "c.yaml")
    assert document.unreadable == {("seed",)}
    document.override("seed", 1, _option("--set seed=1"))
    assert document.unreadable == set()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("model.layers.1.units", "model.layers: received '1'; allowed: an index from 0 to 0"),
        ("model.layers.last", "model.layers: received 'last'; allowed: an index from 0 to 0"),
        ("name.first", "name: name is a single value; there is no 'first' inside it"),
    ],
)
def test_override_refuses_a_way_that_is_not_there(document, key, message):
    document.override(key, 1, _option(f"--set {key}=1"))
    assert [str(problem) for problem in document.problems] == [f"--set {key}=1: {message}"]


def test_nothing_is_said_of_what_could_not_be_read():
    document = read_text("model: *x\n", "c.yaml")
    document.report(("model",), "received nothing")
    document.report(("model", "layers"), "received nothing")
    assert len(document.problems) == 1
