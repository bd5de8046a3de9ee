"""``python -m swarmsec``."""

from swarmsec.cli import main

if __name__ == "__main__":
    main()
