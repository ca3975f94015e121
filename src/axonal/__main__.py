"""``python -m axonal`` is the command line."""

from axonal.cli import main

if __name__ == "__main__":
    main()
