"""Training the chosen configuration again, on train and validation split together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import nn

from handsigns.config.hyperparameters import seed_of
from handsigns.config.user_code import OwnCode
from handsigns.data.dataset import DataSet
from handsigns.data.folds import together
from handsigns.data.splits import Split
from handsigns.errors import ResultsError
from handsigns.host import available_cpus
from handsigns.io.atomic import staged_folder
from handsigns.metrics import EpochMetrics
from handsigns.models import as_evaluated
from handsigns.results.environment import describe_environment
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord
from handsigns.results.winner import (
    Chosen,
    ModelCard,
    RetrainingEpoch,
    RetrainingRecord,
    SeedRun,
    read_ledger,
    write_retraining,
)
from handsigns.training.device import pick_device
from handsigns.training.evaluate import evaluate
from handsigns.training.train import (
    DivergedError,
    TrainingPlan,
    TrainingState,
    fit,
    on_device,
    start,
)
from handsigns.winner.model import save_model
from handsigns.winner.model_card import write_readme

Progress = Callable[[int, int, EpochMetrics], None]
"""Called after each epoch with the seed's number (from 0), the number of seeds, and the metrics."""

_LOWEST_LOSS = "lowest loss on the pictures it learnt from"
_ENSEMBLE = "all that did not diverge, as an ensemble"


def retrain(
    search: StoredSearch,
    data: DataSet,
    record: TrialRecord,
    *,
    chosen: Chosen,
    seeds: int,
    ensemble: bool,
    progress: Progress,
    own: OwnCode | None = None,
) -> tuple[ModelCard, list[SeedRun]]:
    """Train `record`'s configuration with fresh seeds and keep a model in ``winner/``.

    No split is left to choose by, and the test split must not: of the seeds' models the one with
    the lowest loss on the pictures it learnt from is kept, or all of them as an ensemble. An
    earlier winner is moved aside.

    Args:
        search: to which the record belongs.
        data: its data.
        record: of the trial.
        chosen: how the trial was chosen.
        seeds: how many models to train, one after another on all cores or the GPU.
        ensemble: keep all that did not diverge, and average their probabilities.
        own: the user's own code that the trial ran.

    Raises:
        ResultsError: every seed diverged.
    """
    study, paths = search.study, search.paths
    torch.set_num_threads(available_cpus())
    everything = together(data.train, data.val)
    started = time.monotonic()
    runs: list[SeedRun] = []
    models: dict[int, nn.Module] = {}
    for number in range(seeds):
        plan = TrainingPlan(
            config=record.config,
            classes=len(data.info.classes),
            size=data.info.size,
            max_epochs=study.budget.max_epochs,
            seed=retraining_seed(study.seed, number),
            device=pick_device(),
            own=own,
        )
        state = start(plan)
        run = _train(state, everything, lambda m, n=number: progress(n, seeds, m))  # type: ignore[misc]
        runs.append(run)
        if not run.diverged:
            models[run.seed] = state.result
    if not models:
        raise ResultsError(
            f"trial {record.trial_id} diverged with every seed when trained on train and "
            f"validation split; choose another: {paths.command('retrain', '--trial', 'ID')}"
        )
    environment = describe_environment(own)
    card = ModelCard(
        config=record.config,
        classes=data.info.classes,
        size=data.info.size,
        epochs=study.budget.max_epochs,
        seeds=tuple(models) if ensemble else (_lowest_loss(runs).seed,),
        search=paths.name,
        trial_id=record.trial_id,
        chosen=chosen,
        chosen_after_test=chosen == "by hand" and bool(read_ledger(paths.test_ledger)),
        fingerprint=data.info.fingerprint,
        git_revision=(environment["git"] or {}).get("revision"),
        own_code=own.described() if own else {},
        trained_seeds=tuple(models),
    )
    retraining = RetrainingRecord(
        trial_id=record.trial_id,
        kept_seeds=card.seeds,
        kept_by=_ENSEMBLE if ensemble else _LOWEST_LOSS,
        train_pictures=len(everything),
        seconds=round(time.monotonic() - started, 3),
        device=str(pick_device()),
        threads=torch.get_num_threads(),
        environment=environment,
        runs=tuple(runs),
    )
    _store(search, models, card, retraining, own)
    return card, runs


def retraining_seed(study_seed: int, number: int) -> int:
    """The seed of the n-th retraining: fresh, so none that the search has seen."""
    return seed_of(f"retrain/{study_seed}/{number}")


def _lowest_loss(runs: list[SeedRun]) -> SeedRun:
    return min(runs, key=lambda run: math.inf if run.loss is None else run.loss)


def _train(state: TrainingState, split: Split, progress: Callable[[EpochMetrics], None]) -> SeedRun:
    epochs = []
    try:
        for metrics in fit(state, split, None):
            epochs.append(RetrainingEpoch.of(metrics))
            progress(metrics)
    except DivergedError:
        return SeedRun(state.plan.seed, None, tuple(epochs))
    network = as_evaluated(state.result, state.plan.config)
    loss = evaluate(network, *on_device(split, state.plan.device)).loss
    return SeedRun(state.plan.seed, loss if math.isfinite(loss) else None, tuple(epochs))


def _store(
    search: StoredSearch,
    models: dict[int, nn.Module],
    card: ModelCard,
    retraining: RetrainingRecord,
    own: OwnCode | None,
) -> None:
    """Write the winner beside its place, then put it there; an earlier one is kept aside."""
    with staged_folder(search.paths.winner, earlier="keep") as fresh:
        save_model(fresh, models, card, own)
        write_retraining(fresh, retraining)
        write_readme(fresh, card, search, retraining, None)
