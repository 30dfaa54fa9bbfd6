"""PyTorch modules beside the Keras layers that they stand for."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from rnnbench.config import load_run_config
from rnnbench.config.optimizers import Optimizer
from rnnbench.keras_object import members
from rnnbench.model import build_model, build_network, summarize
from rnnbench.tasks import LOSSES

torch = pytest.importorskip("torch")
TOKENS = np.array([[3, 7, 2, 9, 1, 4], [5, 1, 0, 0, 0, 0], [8, 2, 6, 1, 0, 0]], np.int32)
VALUES = np.random.default_rng(0).normal(size=(3, 4, 1)).astype(np.float32)
RECURRENT = [
    "{type: simple_rnn, units: 3}",
    "{type: lstm, units: 3}",
    "{type: gru, units: 3}",
    "{type: lstm, units: 3, use_bias: false}",
    "{type: gru, units: 3, use_bias: false}",
    "{type: bidirectional, layer: {type: simple_rnn, units: 3}}",
    "{type: bidirectional, layer: {type: lstm, units: 3}}",
    "{type: bidirectional, layer: {type: gru, units: 3}}",
]
# Gates of Keras in PyTorch's order; the others have the same.
ORDERS = {"GRU": [1, 0, 2]}
# Layers above the embedding and the dropout of its vectors.
STACKS = [
    *([layer] for layer in RECURRENT),
    *([layer, "{type: global_max_pooling1d}"] for layer in RECURRENT),
    *([layer, "{type: gru, units: 2}"] for layer in RECURRENT),
    [
        RECURRENT[1],
        "{type: dropout, rate: 0.5}",
        "{type: layer_normalization}",
        "{type: dense, units: 4, activation: relu}",
        "{type: global_max_pooling1d}",
    ],
    ["{type: global_max_pooling1d}", "{type: layer_normalization, epsilon: 0.01}"],
]


def _load(path, dataset, layers, loss):
    lines = [f"dataset: {dataset}", "model:", "  layers:", *(f"    - {layer}" for layer in layers)]
    path.write_text("\n".join([*lines, f"training: {{loss: {loss}, epochs: 1}}\n"]))
    return load_run_config(path)


def _copy(config, model, network):
    """Give the PyTorch modules the weights of the Keras layers."""
    for named, built, module in zip(
        summarize(config), model.layers[1:], network.stack, strict=True
    ):
        recurrences = named.layer.recurrences(built)
        weights = [torch.tensor(weight) for weight in built.get_weights()]
        if recurrences:
            for i, (_, layer, part) in enumerate(recurrences):
                own = module.backward_rnn if i and module.backward_rnn else module.forward_rnn
                suffix = "_l0_reverse" if i and own is module.forward_rnn else "_l0"
                _copy_recurrence(layer, part, own, suffix)
        elif weights:
            is_dense = isinstance(getattr(module, "module", None), torch.nn.Linear)
            for parameter, weight in zip(module.parameters(), weights, strict=True):
                parameter.data = weight.t().contiguous() if is_dense else weight


def _copy_recurrence(layer, built, module, suffix):
    kernel, recurrent_kernel, *bias = built.get_weights()
    order = ORDERS.get(type(module).__name__, range(len(layer.gates)))

    def sort(weight):
        return np.concatenate([np.split(weight, len(layer.gates), axis=-1)[i] for i in order], -1)

    given = {"weight_ih": sort(kernel).T, "weight_hh": sort(recurrent_kernel).T}
    if bias:
        both = bias[0] if bias[0].ndim == 2 else np.stack([bias[0], np.zeros_like(bias[0])])
        given |= {"bias_ih": sort(both[0]), "bias_hh": sort(both[1])}
    for name, weight in given.items():
        parameter = getattr(module, name + suffix)
        assert parameter.shape == weight.shape
        parameter.data = torch.tensor(weight.copy())


def _compare(config, packed, x, moved, y):
    """Compare outputs and loss."""
    keras.utils.set_random_seed(1)
    model = build_model(config)
    model.set_weights([w + np.random.normal(0, 0.3, w.shape) for w in model.get_weights()])
    network = build_network(config, packed=packed).eval()
    _copy(config, model, network)
    loss = LOSSES[str(config.training.loss)]
    by_class = "probabilities" in loss.outputs
    with torch.no_grad():
        given = network(torch.tensor(moved))
        targets = torch.tensor(y) if by_class else torch.tensor(y, dtype=torch.float32)[:, None]
        received = getattr(torch.nn.functional, loss.torch)(given, targets)
        activation = {"sigmoid": torch.sigmoid, "softmax": lambda z: z.softmax(-1)}
        outputs = activation.get(loss.torch_activation, lambda z: z)(given)
    expected = np.asarray(model(x))
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    expected_loss = np.mean(keras.losses.get(config.training.loss)(y[:, None], expected))
    np.testing.assert_allclose(received, expected_loss, atol=1e-5)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("layers", STACKS, ids=" ".join)
@pytest.mark.filterwarnings("ignore:Layer 'global_max_pooling1d'")  # the mask ends there
def test_padding_changes_no_output(tmp_path, layers, padding, packed):
    from rnnbench.bench import _move_padding

    embedding = "{type: embedding, output_dim: 3, mask_zero: true}"
    stack = [embedding, "{type: spatial_dropout1d, rate: 0.5}", *layers]
    stack.append("{type: dense, units: 1, activation: sigmoid}")
    dataset = f"{{type: imdb, num_words: 10, maxlen: 6, padding: {padding}}}"
    config = _load(tmp_path / "c.yaml", dataset, stack, "binary_crossentropy")
    x = TOKENS
    if padding == "pre":
        x = np.stack([np.roll(row, np.count_nonzero(row == 0)) for row in TOKENS])
    moved = _move_padding(x)
    np.testing.assert_array_equal(moved, TOKENS)
    _compare(config, packed, x, moved, np.array([0, 1, 1]))


@pytest.mark.parametrize("loss", ["mean_squared_error", "mae"])
@pytest.mark.parametrize("layer", RECURRENT)
def test_without_padding(tmp_path, layer, loss):
    layers = [layer, RECURRENT[2], "{type: dense, units: 1}"]
    config = _load(tmp_path / "c.yaml", "{type: toy_sequence}", layers, loss)
    _compare(config, None, VALUES, VALUES, np.array([0.5, -1.0, 2.0], np.float32))


@pytest.mark.parametrize(
    "activation",
    ["linear", "tanh", "sigmoid", "relu", "softmax", "hard_sigmoid", "softplus", "softsign", "elu",
     "selu", "gelu", "silu", "leaky_relu", "exponential"],
)  # fmt: skip
def test_activations_and_classes(tmp_path, activation):
    layers = ["{type: embedding, output_dim: 3}", "{type: lstm, units: 3}"]
    layers += [f"{{type: dense, units: 5, activation: {activation}, use_bias: false}}"]
    layers += ["{type: dense, units: 46, activation: softmax}"]
    dataset = "{type: reuters, num_words: 10, maxlen: 6}"
    config = _load(tmp_path / "c.yaml", dataset, layers, "sparse_categorical_crossentropy")
    _compare(config, None, TOKENS, TOKENS, np.array([0, 45, 7]))


OPTIMIZERS = {
    name: kind for name, kind in members(Optimizer).items() if kind.torch_arguments is not None
}


STEPS = [
    *((name, {}) for name in OPTIMIZERS),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("rmsprop", {"momentum": 0.5, "rho": 0.8}),
    ("adam", {"beta_1": 0.8, "beta_2": 0.9}),
    ("adamw", {"weight_decay": 0.5}),
]
START, GRADIENTS = [1.0, -2.0], [[0.5, 1.0], [-0.1, 2.0], [0.3, 0.3]]
# A process of its own: PyTorch's optimizers load Triton, which crashes beside TensorFlow.
TAKE_STEPS = """
import json, sys
import torch
from rnnbench.config.optimizers import Optimizer
from rnnbench.keras_object import members
cases, start, gradients = json.loads(sys.argv[1])
results = []
for name, arguments in cases:
    parameter = torch.nn.Parameter(torch.tensor(start))
    settings = members(Optimizer)[name](learning_rate=0.1, **arguments)
    optimizer = settings.build_torch([parameter])
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
    results.append(parameter.tolist())
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def torch_steps():
    given = json.dumps([STEPS, START, GRADIENTS])
    command = [sys.executable, "-P", "-c", TAKE_STEPS, given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", range(len(STEPS)), ids=lambda case: STEPS[case][0])
def test_an_optimizer_takes_the_same_steps(torch_steps, case):
    name, arguments = STEPS[case]
    optimizer = OPTIMIZERS[name](learning_rate=0.1, **arguments).build()
    variable = keras.Variable(START)
    for gradient in GRADIENTS:
        optimizer.apply([np.array(gradient, np.float32)], [variable])
    np.testing.assert_allclose(torch_steps[case], np.asarray(variable), atol=1e-5)


def test_these_optimizers_are_known():
    assert {"sgd", "rmsprop", "adam", "adamw"} <= set(OPTIMIZERS)
