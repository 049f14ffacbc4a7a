"""Measurements of a run: time by phase, throughput, numbers that are not finite."""
