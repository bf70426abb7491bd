"""Search hyperparameters for an image classifier: `python tune_main.py --help`."""

import sys

from handsigns.cli import main

if __name__ == "__main__":
    sys.exit(main())
