from typing import get_args

import keras
import numpy as np
import pytest

from rnnbench.config.layers import Activation
from rnnbench.models.activations import ACTIVATIONS


def test_every_activation_of_a_config_has_a_reference():
    assert set(ACTIVATIONS) == set(get_args(Activation))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_equals_keras(name):
    x = np.array([[-30.0, -3.5, -1.0, -0.1, 0.0, 0.2, 1.0, 2.9, 3.1, 30.0]])
    expected = np.asarray(keras.activations.get(name)(keras.ops.convert_to_tensor(x, "float64")))
    np.testing.assert_allclose(ACTIVATIONS[name](x), expected, rtol=1e-6, atol=1e-12)


def test_sigmoid_does_not_overflow():
    with np.errstate(over="raise"):
        assert ACTIVATIONS["sigmoid"](np.array([-1e4, 1e4])).tolist() == [0.0, 1.0]
