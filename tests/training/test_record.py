"""Records of a training: what they hold, and that they change nothing."""

import csv
import json
import shutil

import numpy as np
import pytest

from rnnbench.config import load_run_config
from rnnbench.config.load import parse_override
from rnnbench.errors import RunError
from rnnbench.run import RunDirectory
from rnnbench.training import Progress
from rnnbench.training.checkpoint import load_state
from rnnbench.training.evaluate import load_model
from rnnbench.training.record import Recorder, by_layer
from rnnbench.training.trainer import prepare_training, train

TOY = """\
dataset: {type: toy_sequence, length: 24}
model:
  layers:
    - {type: LAYER, units: 1, activation: linear, use_bias: false}
    - {type: dense, units: 1, use_bias: false}
training: {optimizer: {type: sgd, learning_rate: 0.5}, loss: mse, batch_size: 64, epochs: 2}
"""
STACKED = """\
dataset: {type: toy_sequence, length: 40, validation_split: 0.2}
model:
  layers:
    - {type: lstm, units: 3, dropout: 0.2, recurrent_dropout: 0.2, activity_regularizer: {l2: 0.1}}
    - {type: batch_normalization}
    - {type: bidirectional, layer: {type: gru, units: 2}}
    - {type: dropout, rate: 0.3}
    - {type: dense, units: 1, kernel_regularizer: {l2: 0.1}}
training: {optimizer: {type: adam, clipnorm: 1.0}, loss: mse, batch_size: 8, epochs: 2}
"""
TEXT = """\
dataset: {type: imdb, num_words: 40, maxlen: 12, padding: PADDING, validation_split: 0.2}
model:
  layers:
    - {type: embedding, output_dim: 4, mask_zero: true}
    - {type: bidirectional, layer: {type: simple_rnn, units: 3}}
    - {type: gru, units: 2, go_backwards: true}
    - {type: dense, units: 1, activation: sigmoid}
training:
  loss: binary_crossentropy
  batch_size: 16
  epochs: 1
  backend: fast
  class_weight: {1: 2.0}
"""
DATES = """\
dataset: {type: date_formats, samples: 48, test_samples: 16, seed: 1}
model:
  encoder: {layers: [{type: embedding, output_dim: 4, mask_zero: true}, {type: lstm, units: 3}]}
  decoder: {layers: [{type: embedding, output_dim: 3}, {type: lstm, units: 3}, {type: dense}]}
training: {loss: sparse_categorical_crossentropy, batch_size: 16, epochs: 1}
"""
EVERY_STEP = """\
dataset: {type: toy_sequence, length: 40, targets: every_step}
model: {layers: [{type: gru, units: 2}, {type: dense, units: 1}]}
training: {loss: mse, batch_size: 8, epochs: 1}
"""
CONFIGS = {
    "stacked": STACKED,
    "text": TEXT.replace("PADDING", "post"),
    "dates": DATES,
    "every_step": EVERY_STEP,
}
RECORDED = ("training.record={every: 3}", "training.keep_checkpoints=all")


def _load(directory, text, *settings):
    path = directory / "c.yaml"
    path.write_text(text)
    return load_run_config(path, [parse_override(setting) for setting in settings])


def _train(directory, text, *settings, progress=None):
    config = _load(directory, text, *settings)
    return train(config, directory, command=["rnnbench"], progress=progress or Progress()).run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Gives a run of a config with settings, which is trained once; who changes it takes a copy."""
    runs = {}

    def run(text, *settings):
        if (text, settings) not in runs:
            runs[text, settings] = _train(tmp_path_factory.mktemp("trained"), text, *settings)
        return runs[text, settings]

    return run


@pytest.fixture
def take_copy(trained, tmp_path):
    def copy(*arguments):
        path = shutil.copytree(trained(*arguments).path, tmp_path / "copy")
        return RunDirectory(path)

    return copy


def _recorder(directory, text, *settings):
    """A recorder before the first step, its model, and its training samples."""
    config = _load(directory, text, "training.record={}", *settings)
    setup = prepare_training(config, config.dataset.load())
    return Recorder(config, setup.model, setup.dataset.splits["train"], 1), setup


def _record(recorder):
    recorder.before_step(0)
    recorder.after_step()
    return recorder.records


def _result(run):
    """Weights and the optimizer's variables, and the history without its times."""
    state = load_state(run)
    with run.history_file.open() as stream:
        history = [{k: v for k, v in r.items() if k != "seconds"} for r in csv.DictReader(stream)]
    return [array.tobytes() for array in (*state.model, *state.optimizer)], history


@pytest.mark.parametrize("name", CONFIGS)
def test_recording_and_keeping_change_nothing_that_is_learnt(name, trained, standin_data):
    without, recorded = trained(CONFIGS[name]), trained(CONFIGS[name], *RECORDED)
    assert _result(recorded) == _result(without)
    assert not without.records_file.exists()
    assert recorded.read_metrics() == without.read_metrics()


def test_what_is_recorded_of_each_layer(trained):
    run = trained(STACKED, *RECORDED)
    records = run.read_records()
    assert records["step"].tolist() == [0, 3, 6]
    assert records["epoch"].tolist() == [0.0, 0.75, 1.5]  # 29 of 36 windows, 4 steps an epoch
    assert {name: array.shape for name, array in records.items() if "bidirectional" in name} == {
        **{
            f"{kind}/bidirectional/{way}_{weight}": (3,)
            for kind in ("gradient_norm", "weight_norm", "update_norm")
            for way in ("forward", "backward")
            for weight in ("kernel", "recurrent_kernel", "bias")
        },
        "gradient_by_distance/bidirectional/forward": (3, 4),
        "gradient_by_distance/bidirectional/backward": (3, 4),
        **{
            f"saturation/bidirectional/{way}/{gate} gate": (3, 2)
            for way in ("forward", "backward")
            for gate in ("update", "reset")
        },
    }
    assert "gradient_norm/batch_normalization/gamma" in records
    assert "gradient_norm/batch_normalization/moving_mean" not in records
    gates = [name for name in records if name.startswith("saturation/lstm/")]
    assert gates == [f"saturation/lstm/{gate} gate" for gate in ("input", "forget", "output")]
    assert all(np.isfinite(array).all() for array in records.values())
    for plot in ("gradient_norms", "gradient_by_distance", "gate_saturation"):
        assert run.plot_file(plot).exists()


def test_an_encoder_and_a_decoder(trained):
    records = trained(DATES, *RECORDED).read_records()
    encoder = records["gradient_by_distance/lstm"][0]
    decoder = records["gradient_by_distance/lstm_1"][0]
    assert len(encoder) != len(decoder)
    assert min(encoder.min(), decoder.min()) > 0


def test_a_gradient_by_distance_against_theory(tmp_path):
    """h_t = u h_{t-1} + x_t and y = w h_T, so that ∂loss/∂h_t = 2 (y - target) w u^(T-t)."""
    recorder, setup = _recorder(tmp_path, TOY.replace("LAYER", "simple_rnn"))
    setup.model.set_weights([np.full((1, 1), value) for value in (0.0, -0.5, 2.0)])
    found = _record(recorder)["gradient_by_distance/simple_rnn"][0]
    targets = setup.dataset.splits["train"].y
    first = np.median(np.abs(2 * targets * 2.0))
    assert found == pytest.approx(first * 0.5 ** np.arange(4), rel=1e-5)


@pytest.mark.parametrize("padding", ["pre", "post"])
def test_gradients_are_those_of_the_model_that_is_trained(padding, tmp_path, standin_data):
    import tensorflow as tf

    recorder, setup = _recorder(tmp_path, TEXT.replace("PADDING", padding))
    records = _record(recorder)
    x, y, weights = recorder._probe

    @tf.function
    def compute_norms():
        with tf.GradientTape() as tape:
            outputs = setup.model(x, training=False)
            loss = setup.model.compute_loss(x, y, outputs, weights)
        variables = [variable.value for variable in setup.model.trainable_variables]
        return [tf.norm(tf.convert_to_tensor(g)) for g in tape.gradient(loss, variables)]

    expected = list(map(float, compute_norms()))
    found = [v[0] for name, v in records.items() if name.startswith("gradient_norm/")]
    assert found == pytest.approx(expected, rel=1e-4)
    # No sample has more steps than the longest one that is left under the mask.
    longest = int(np.count_nonzero(x, axis=1).max())
    assert records["gradient_by_distance/bidirectional/backward"].shape == (1, longest)


def test_padding_changes_no_gradient_by_distance(tmp_path, standin_data):
    found = [
        _record(_recorder(tmp_path, TEXT.replace("PADDING", padding))[0])
        for padding in ("pre", "post")
    ]
    for name in ("bidirectional/forward", "bidirectional/backward"):
        of = [records[f"gradient_by_distance/{name}"] for records in found]
        assert of[0] == pytest.approx(of[1], rel=1e-4)


def test_saturated_gates(tmp_path):
    recorder, setup = _recorder(tmp_path, TOY.replace("LAYER", "lstm").replace("false", "true"))
    kernel, recurrent_kernel, _, *dense = setup.model.get_weights()
    weights = [np.zeros_like(kernel), np.zeros_like(recurrent_kernel)]
    # In the order of Keras: input gate, forget gate, candidate, output gate.
    setup.model.set_weights([*weights, np.array([-9.0, 9.0, 0.0, 1.0]), *dense])
    records = _record(recorder)
    found = {n[16:]: v[0].tolist() for n, v in records.items() if n.startswith("saturation/lstm/")}
    assert found == {
        "input gate": [1.0, 0.0],
        "forget gate": [0.0, 1.0],
        "output gate": [0.0, 0.0],
    }


def test_an_update_is_the_step_that_is_taken(tmp_path):
    """All samples are in the batch and in the probe, so that it is the gradient times the rate."""
    text = TOY.replace("LAYER", "gru").replace("0.5", "1e-6")
    records = _train(tmp_path, text, "training.record={every: 1}").read_records()
    gradients, updates = (by_layer(records, kind) for kind in ("gradient_norm", "update_norm"))
    for layer in ("gru", "dense"):
        assert updates[layer] == pytest.approx(1e-6 * gradients[layer], rel=1e-3)


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ("{gradients: false}", {"step", "epoch", "saturation"}),
        (
            "{gates: false}",
            {
                "step",
                "epoch",
                "gradient_norm",
                "weight_norm",
                "update_norm",
                "gradient_by_distance",
            },
        ),
    ],
)
def test_a_part_alone(settings, kinds, tmp_path):
    recorder, _ = _recorder(tmp_path, EVERY_STEP, f"training.record={settings}")
    assert {name.partition("/")[0] for name in _record(recorder)} == kinds


def test_what_it_costs_is_told_and_the_report_shows_the_plots(tmp_path, rnnbench):
    (tmp_path / "c.yaml").write_text(EVERY_STEP)
    settings = ("--set", "training.record={}", "--set", "training.keep_checkpoints=all")
    result = rnnbench("train", tmp_path / "c.yaml", "-o", tmp_path / "runs", *settings)
    assert result.code == 0, result.err
    assert "recording took " in result.err
    assert "; inspection.npz has " in result.err
    assert "kept the weights of 1 epoch: " in result.err
    (path,) = (tmp_path / "runs" / "c").iterdir()
    result = rnnbench("report", path)
    assert result.code == 0, result.err
    page = (path / "report.html").read_text()
    assert "Gradients and gates" in page
    assert page.count("norm of the gradient by distance from the last step") >= 1
    (path / "inspection.npz").write_bytes(b"no archive")
    result = rnnbench("report", path)
    assert (result.code, "inspection.npz: damaged: " in result.err) == (2, True)


def test_records_that_are_lost_are_told(take_copy, rnnbench):
    run = take_copy(EVERY_STEP, *RECORDED)
    run.records_file.unlink()
    result = rnnbench("train", "--resume", run.path, "--epochs", "2")
    assert result.code == 0, result.err
    assert "inspection.npz: records are missing; those of later steps are added" in result.err
    assert run.read_records()["step"].tolist() == [6, 9]


def test_the_weights_of_each_epoch_are_kept(take_copy, trained):
    run = take_copy(STACKED, *RECORDED)
    assert run.kept_epochs() == [1, 2]
    first, second, final = (load_model(run, epoch).get_weights() for epoch in (1, 2, None))
    assert not np.array_equal(first[0], second[0])
    assert all(map(np.array_equal, second, final))
    with pytest.raises(RunError, match=r"epoch 3, whose weights are not kept; .* of epochs 1, 2"):
        load_model(run, 3)
    content = run.epoch_file(1).read_bytes()
    run.epoch_file(1).write_bytes(content[:-1])
    with pytest.raises(RunError, match="epoch_0001: damaged: the checksum is not that"):
        load_model(run, 1)
    run.epoch_file(1).write_bytes(content)
    shutil.copy(trained(EVERY_STEP, *RECORDED).epoch_file(1), run.epoch_file(1))
    with pytest.raises(RunError, match="epoch_0001: these are no weights of "):
        load_model(run, 1)


def test_weights_are_kept_only_where_it_is_asked_for(trained):
    run = trained(EVERY_STEP)
    assert sorted(path.name for path in run.state_file.parent.iterdir()) == ["state"]
    with pytest.raises(RunError, match=r"training\.keep_checkpoints: all keeps those of a run"):
        load_model(run, 1)
    manifest = json.loads(run.manifest_file.read_text())
    assert manifest["status"] == "finished"
