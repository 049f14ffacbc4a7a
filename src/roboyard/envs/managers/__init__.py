"""Managers: lists of terms, their parameters and memory, and how they are called and combined."""
