"""Leases: one process drives a run at a time, and every writer proves that it still may."""
