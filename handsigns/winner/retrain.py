"""Retraining of the selected configuration, on train and validation split combined."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import nn

from handsigns.config.hyperparameters import derive_seed
from handsigns.config.user_code import UserCode
from handsigns.data.dataset import DataSet
from handsigns.data.folds import concat_splits
from handsigns.data.splits import Split
from handsigns.errors import ResultsError
from handsigns.host import available_cpus
from handsigns.io.atomic import staged_folder
from handsigns.metrics import EpochMetrics
from handsigns.models import inference_model
from handsigns.results.environment import describe_environment
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord
from handsigns.results.winner import (
    ModelCard,
    RetrainingEpoch,
    RetrainingRecord,
    SeedRun,
    SelectionMethod,
    read_test_ledger,
    write_retraining,
)
from handsigns.training.device import pick_device
from handsigns.training.evaluate import evaluate
from handsigns.training.train import (
    DivergedError,
    TrainingPlan,
    TrainingState,
    init_state,
    split_to_device,
    train_epochs,
)
from handsigns.winner.model import save_model
from handsigns.winner.model_card import write_readme

Progress = Callable[[int, int, EpochMetrics], None]
"""Callback after each epoch: index of the seed (from 0), number of seeds, metrics."""

_LOWEST_TRAIN_LOSS = "lowest loss on the training images"
_ENSEMBLE = "ensemble of all seeds that did not diverge"


def retrain(
    search: StoredSearch,
    data: DataSet,
    record: TrialRecord,
    *,
    selected_by: SelectionMethod,
    seeds: int,
    ensemble: bool,
    progress: Progress,
    user_code: UserCode | None = None,
) -> tuple[ModelCard, list[SeedRun]]:
    """Train `record`'s configuration with fresh seeds and keep a model in ``winner/``.

    No split is left for selection, and the test split must not be used: of the seeds' models, the
    one with the lowest loss on the training images is kept, or an ensemble of all. An earlier
    winner is moved aside.

    Args:
        search: search of the trial.
        data: data of the search.
        record: record of the trial.
        selected_by: how the trial was selected.
        seeds: number of models to train, one after another on all cores or the GPU.
        ensemble: keep all models that did not diverge, and average their probabilities.
        progress: see `Progress`.
        user_code: the user code that the trial ran.

    Raises:
        ResultsError: every seed diverged.
    """
    search_config, paths = search.config, search.paths
    torch.set_num_threads(available_cpus())
    train_val = concat_splits(data.train, data.val)
    started = time.monotonic()
    runs: list[SeedRun] = []
    models: dict[int, nn.Module] = {}
    for number in range(seeds):
        plan = TrainingPlan(
            config=record.config,
            num_classes=len(data.info.classes),
            image_size=data.info.size,
            max_epochs=search_config.budget.max_epochs,
            seed=retraining_seed(search_config.seed, number),
            device=pick_device(),
            user_code=user_code,
        )
        state = init_state(plan)
        run = _train(state, train_val, lambda m, n=number: progress(n, seeds, m))  # type: ignore[misc]
        runs.append(run)
        if not run.diverged:
            models[run.seed] = state.eval_model
    if not models:
        raise ResultsError(
            f"trial {record.trial_id} diverged with every seed when trained on train and "
            f"validation split combined; choose another trial: "
            f"{paths.command('retrain', '--trial', 'ID')}"
        )
    environment = describe_environment(user_code)
    card = ModelCard(
        config=record.config,
        classes=data.info.classes,
        size=data.info.size,
        epochs=search_config.budget.max_epochs,
        seeds=tuple(models) if ensemble else (_lowest_loss(runs).seed,),
        search=paths.name,
        trial_id=record.trial_id,
        selected_by=selected_by,
        selected_after_test=selected_by == "user" and bool(read_test_ledger(paths.test_ledger)),
        fingerprint=data.info.fingerprint,
        git_revision=(environment["git"] or {}).get("revision"),
        user_code=user_code.code_metadata() if user_code else {},
        trained_seeds=tuple(models),
    )
    retraining = RetrainingRecord(
        trial_id=record.trial_id,
        selected_seeds=card.seeds,
        selection_rule=_ENSEMBLE if ensemble else _LOWEST_TRAIN_LOSS,
        num_train_images=len(train_val),
        seconds=round(time.monotonic() - started, 3),
        device=str(pick_device()),
        threads=torch.get_num_threads(),
        environment=environment,
        runs=tuple(runs),
    )
    _write_winner(search, models, card, retraining, user_code)
    return card, runs


def retraining_seed(search_seed: int, number: int) -> int:
    """Return the seed of the n-th retraining, distinct from those of the search."""
    return derive_seed(f"retrain/{search_seed}/{number}")


def _lowest_loss(runs: list[SeedRun]) -> SeedRun:
    return min(runs, key=lambda run: math.inf if run.loss is None else run.loss)


def _train(state: TrainingState, split: Split, progress: Callable[[EpochMetrics], None]) -> SeedRun:
    epochs = []
    try:
        for metrics in train_epochs(state, split, None):
            epochs.append(RetrainingEpoch.from_metrics(metrics))
            progress(metrics)
    except DivergedError:
        return SeedRun(state.plan.seed, None, tuple(epochs))
    model = inference_model(state.eval_model, state.plan.config)
    loss = evaluate(model, *split_to_device(split, state.plan.device)).loss
    return SeedRun(state.plan.seed, loss if math.isfinite(loss) else None, tuple(epochs))


def _write_winner(
    search: StoredSearch,
    models: dict[int, nn.Module],
    card: ModelCard,
    retraining: RetrainingRecord,
    user_code: UserCode | None,
) -> None:
    """Write the winner to a staging folder, then move it in place; keep an earlier one."""
    with staged_folder(search.paths.winner, if_exists="backup") as staging:
        save_model(staging, models, card, user_code)
        write_retraining(staging, retraining)
        write_readme(staging, card, search, retraining, None)
