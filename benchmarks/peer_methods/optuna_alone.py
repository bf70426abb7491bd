"""Optuna alone: two processes on its journal storage, TPE and its successive-halving pruner.

python optuna_alone.py DATA LOG SEED
"""

from __future__ import annotations

import multiprocessing
import sys

import optuna
from objective import (
    BATCH_SIZES,
    CHANNEL_WIDTHS,
    DROPOUT,
    GRACE_PERIOD,
    LEARNING_RATE,
    REDUCTION_FACTOR,
    train,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def run_worker(data: str, log: str, seed: int, worker: int) -> None:
    """Optimise in one of the processes until it is killed."""

    def objective(trial: optuna.Trial) -> float:
        params = {
            "learning_rate": trial.suggest_float("learning_rate", *LEARNING_RATE, log=True),
            "dropout": trial.suggest_float("dropout", *DROPOUT),
            "batch_size": trial.suggest_categorical("batch_size", BATCH_SIZES),
            "channel_width": trial.suggest_categorical("channel_width", CHANNEL_WIDTHS),
        }
        loss = float("inf")
        for epoch, loss, _ in train(params, seed, data, log, str(trial.number)):
            trial.report(loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return loss

    study = optuna.create_study(
        study_name="peer",
        storage=JournalStorage(JournalFileBackend(f"{log}.optuna")),
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=1000 * seed + worker),
        pruner=optuna.pruners.SuccessiveHalvingPruner(
            min_resource=GRACE_PERIOD, reduction_factor=REDUCTION_FACTOR
        ),
    )
    from handsigns.training.train import DivergedError

    study.optimize(objective, catch=(DivergedError,))


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(
            target=run_worker, args=(sys.argv[1], sys.argv[2], int(sys.argv[3]), number)
        )
        for number in range(2)
    ]
    for process in workers:
        process.start()
    for process in workers:
        process.join()
