"""The course's way: one configuration after another, a process each, every one to its end.

python course_way.py DATA LOG SEED
"""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from pathlib import Path

from objective import draw

if __name__ == "__main__":
    data, log, seed = sys.argv[1:]
    chance = random.Random(int(seed))
    for number in itertools.count():
        chosen = [
            part for name, value in draw(chance).items() for part in (f"--{name}", str(value))
        ]
        script = str(Path(__file__).with_name("one_trial.py"))
        shared = ["--data", data, "--log", log, "--seed", seed, "--trial", str(number)]
        subprocess.run([sys.executable, script, *chosen, *shared], check=False)
