"""Training script of a single trial, for Syne Tune, to which it reports, and the CS230 search.

python one_trial.py --learning_rate 1e-3 --dropout 0.2 --batch_size 32 --channel_width 8
    --data DATA --log LOG --seed 0 [--trial NAME --threads N]
"""

from __future__ import annotations

import argparse
import os

from objective import train


def main() -> None:
    """Train, and report to Syne Tune unless a trial name is given."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning_rate", type=float, required=True)
    parser.add_argument("--dropout", type=float, required=True)
    parser.add_argument("--batch_size", type=int, required=True)
    parser.add_argument("--channel_width", type=int, required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--trial", default="")
    parser.add_argument("--threads", type=int, default=1)
    options, _ = parser.parse_known_args()
    names = ("learning_rate", "dropout", "batch_size", "channel_width")
    params = {name: getattr(options, name) for name in names}
    trial = options.trial or str(os.getpid())
    report = None
    if not options.trial:
        from syne_tune import Reporter

        report = Reporter()
    arguments = (params, options.seed, options.data, options.log, trial, options.threads)
    for epoch, loss, _ in train(*arguments):
        if report is not None:
            report(epoch=epoch, val_loss=loss)


if __name__ == "__main__":
    main()
