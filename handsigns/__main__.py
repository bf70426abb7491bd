"""Run the command line as `python -m handsigns`."""

import sys

from handsigns.cli import main

sys.exit(main())
