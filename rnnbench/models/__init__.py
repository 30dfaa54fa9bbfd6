"""From a config to a Keras model, its parameter counts and the recurrences written out."""
