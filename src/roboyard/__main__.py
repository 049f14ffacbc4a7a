"""``python -m roboyard`` is the ``roboyard`` command."""

from roboyard.cli import main

if __name__ == "__main__":
    main()
