"""Syne Tune: ASHA on its local backend, which runs each trial in a process.

python syne_tune_asha.py DATA LOG SEED
"""

from __future__ import annotations

import sys
from pathlib import Path

from objective import (
    BATCH_SIZES,
    CHANNEL_WIDTHS,
    DROPOUT,
    GRACE_PERIOD,
    LEARNING_RATE,
    MAX_EPOCHS,
    REDUCTION_FACTOR,
)
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend import LocalBackend
from syne_tune.config_space import choice, loguniform, uniform
from syne_tune.optimizer.baselines import ASHA

if __name__ == "__main__":
    data, log, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    scheduler = ASHA(
        {
            "learning_rate": loguniform(*LEARNING_RATE),
            "dropout": uniform(*DROPOUT),
            "batch_size": choice(list(BATCH_SIZES)),
            "channel_width": choice(list(CHANNEL_WIDTHS)),
            "data": data,
            "log": log,
            "seed": seed,
        },
        metric="val_loss",
        do_minimize=True,
        time_attr="epoch",
        max_t=MAX_EPOCHS,
        grace_period=GRACE_PERIOD,
        reduction_factor=REDUCTION_FACTOR,
        random_seed=seed,
    )
    tuner = Tuner(
        trial_backend=LocalBackend(str(Path(__file__).with_name("one_trial.py"))),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_wallclock_time=3600),
        n_workers=2,
        sleep_time=0.1,
        results_update_interval=1.0,
        save_tuner=False,
        trial_backend_path=str(Path(log).parent / f"syne-{seed}"),
    )
    tuner.run()
