"""A bench for recurrent networks: a YAML config in, a trained and evaluated tf.keras model out."""

__version__ = "0.1.0"
