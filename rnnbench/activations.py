"""Keras' activation functions in NumPy, float64, and derivatives of what is computed with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow for large negative x."""
    e = np.exp(-np.abs(x))
    result: Array = np.where(x >= 0, 1.0, e) / (1.0 + e)
    return result


def softmax(x: Array) -> Array:
    """exp(x) over its sum along the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    result: Array = e / e.sum(axis=-1, keepdims=True)
    return result


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))


def _normal_cdf(x: Array) -> Array:
    erf = np.vectorize(math.erf, otypes=[np.float64])
    result: Array = 0.5 * (1.0 + erf(x / math.sqrt(2.0)))
    return result


def _gelu_derivative(x: Array) -> Array:
    density: Array = np.exp(-0.5 * x**2) / math.sqrt(2.0 * math.pi)
    return _normal_cdf(x) + x * density


def _silu_derivative(x: Array) -> Array:
    s = sigmoid(x)
    return s * (1.0 + x * (1.0 - s))


# Keras' activation functions by their names in a config.
ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda x: np.maximum(x, 0.0),
    "softmax": softmax,
    "hard_sigmoid": lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "softsign": lambda x: x / (1.0 + np.abs(x)),
    "elu": _elu,
    "selu": lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0.0))),
    "gelu": lambda x: x * _normal_cdf(x),
    "silu": lambda x: x * sigmoid(x),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "exponential": np.exp,
}

# Derivative of each that works on one number at a time; where there is none, that from below.
_DERIVATIVES: Mapping[str, Callable[[Array], Array]] = {
    "linear": np.ones_like,
    "tanh": lambda x: 1.0 - np.tanh(x) ** 2,
    "sigmoid": lambda x: sigmoid(x) * (1.0 - sigmoid(x)),
    "relu": lambda x: np.where(x > 0, 1.0, 0.0),
    "hard_sigmoid": lambda x: np.where(np.abs(x) < 3.0, 1.0 / 6.0, 0.0),
    "softplus": sigmoid,
    "softsign": lambda x: 1.0 / (1.0 + np.abs(x)) ** 2,
    "elu": lambda x: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0.0))),
    "selu": lambda x: _SELU_SCALE * np.where(x > 0, 1.0, _SELU_ALPHA * np.exp(np.minimum(x, 0.0))),
    "gelu": _gelu_derivative,
    "silu": _silu_derivative,
    "leaky_relu": lambda x: np.where(x > 0, 1.0, 0.2),
    "exponential": np.exp,
}


@dataclass(frozen=True)
class Dual:
    """Value and its derivative, which follow each other through a calculation.

    Attributes:
        value: float64 [batch, units].
        tangent: Derivative of the value by other numbers, float64 [batch or 1, units, columns].
    """

    value: Array
    tangent: Array

    __array_ufunc__: ClassVar = None  # arrays leave the arithmetic to this class

    def __getitem__(self, key: Any) -> Dual:
        return Dual(self.value[key], self.tangent[key])

    def __add__(self, other: Dual | Array) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value + other.value, self.tangent + other.tangent)
        return Dual(self.value + other, self.tangent)

    __radd__ = __add__

    def __rsub__(self, other: float) -> Dual:
        return Dual(other - self.value, -self.tangent)

    def __mul__(self, other: Dual) -> Dual:
        a, b = self.value[:, :, np.newaxis], other.value[:, :, np.newaxis]
        return Dual(self.value * other.value, a * other.tangent + b * self.tangent)

    def __matmul__(self, matrix: Array) -> Dual:
        return Dual(self.value @ matrix, matrix.T @ self.tangent)


def activate(name: str, x: Any) -> Any:
    """Activation function of a name in a config, of an array or of a `Dual`."""
    if not isinstance(x, Dual):
        return ACTIVATIONS[name](x)
    value = ACTIVATIONS[name](x.value)
    if name == "softmax":  # each of its outputs depends on all inputs
        p = value[:, :, np.newaxis]
        return Dual(value, p * (x.tangent - (p * x.tangent).sum(axis=1, keepdims=True)))
    return Dual(value, _DERIVATIVES[name](x.value)[:, :, np.newaxis] * x.tangent)
