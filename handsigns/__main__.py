"""Entry point of `python -m handsigns`."""

import sys

from handsigns.cli import main

sys.exit(main())
