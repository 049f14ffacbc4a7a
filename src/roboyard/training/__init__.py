"""Training: one run from a config to a run directory, and its exact continuation."""
