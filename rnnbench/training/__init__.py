"""Training a model, and what a trained one is good for."""
