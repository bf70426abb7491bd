"""CS230's way to search: sequential random search, a process per trial, no early stopping.

python cs230_search.py DATA LOG SEED
"""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from pathlib import Path

from objective import NUM_WORKERS, sample_config

if __name__ == "__main__":
    data, log, seed = sys.argv[1:]
    rng = random.Random(int(seed))
    for number in itertools.count():
        params = [
            part for name, value in sample_config(rng).items() for part in (f"--{name}", str(value))
        ]
        script = str(Path(__file__).with_name("one_trial.py"))
        settings = ["--data", data, "--log", log, "--seed", seed, "--trial", str(number)]
        settings += ["--threads", str(NUM_WORKERS)]  # one trial has all cores
        subprocess.run([sys.executable, script, *params, *settings], check=False)
