"""What happens inside trained models: states, gates, gradients, attributions and mistakes."""
