"""Measuring policies: episodes with fixed seeds, statistics, baselines, videos and reports."""
