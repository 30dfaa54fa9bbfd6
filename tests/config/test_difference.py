import pytest

from rnnbench.config import load_config
from rnnbench.config.difference import Difference, differences

TOY = """\
dataset: {type: toy_sequence}
model:
  layers:
    - {type: gru, units: 3}
    - {type: dense, units: 1}
training: {loss: mse, epochs: 2}
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "c.yaml"
        path.write_text(text)
        return load_config(path)

    return load


def test_what_says_the_same_in_other_words_does_not_differ(load):
    other = TOY.replace("loss: mse", "loss: mean_squared_error, batch_size: 32")
    assert differences(load(TOY), load(other)) == []


def test_values_keys_of_one_side_and_layers_by_number(load):
    other = (
        TOY.replace("gru", "simple_rnn")
        .replace("    - {type: dense", "    - {type: dropout, rate: 0.5}\n    - {type: dense")
        .replace("epochs: 2", "epochs: 2, class_weight: null, metrics: [mae]")
    )
    found = {d.key: d for d in differences(load(TOY), load(other))}
    assert found["model.layers.0.type"] == Difference(
        "model.layers.0.type", "gru", "simple_rnn", in_a=True, in_b=True
    )
    assert found["model.layers.0.reset_after"] == Difference(
        "model.layers.0.reset_after", True, None, in_a=True, in_b=False
    )
    assert found["model.layers.1.type"].b == "dropout"
    assert found["model.layers.2.units"] == Difference(
        "model.layers.2.units", None, 1, in_a=False, in_b=True
    )
    assert found["training.metrics"].a == []
    assert found["training.metrics"].b == ["mean_absolute_error"]
    assert "training.epochs" not in found


def test_a_part_that_one_side_leaves_out(load):
    other = TOY.replace("epochs: 2", "epochs: 2, early_stopping: {monitor: loss}")
    found = {d.key: (d.a, d.b) for d in differences(load(TOY), load(other))}
    assert found["training.early_stopping.monitor"] == (None, "loss")
    assert "training.early_stopping" not in found
