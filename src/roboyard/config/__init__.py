"""The shape of an experiment, and reading it from YAML."""
