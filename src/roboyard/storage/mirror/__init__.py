"""Mirroring a run between its working folder and its store."""
