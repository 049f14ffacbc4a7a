"""Checkpoints: what a run continues from, written whole, verified when read, rotated."""
