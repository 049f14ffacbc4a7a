"""The ``roboyard`` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line (the console script's entry point)."""
    from roboyard.cli.app import run

    run()
