"""Choice of the winner among retrained models, and the files of its folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from handsigns.config.user_code import UserCode
from handsigns.data.dataset import DataSet
from handsigns.data.folds import concat_splits
from handsigns.errors import ResultsError
from handsigns.host import available_cpus
from handsigns.io.atomic import staged_folder
from handsigns.models import inference_model
from handsigns.results.environment import describe_environment
from handsigns.results.retraining import RetrainingPaths
from handsigns.results.store import StoredSearch
from handsigns.results.test_result import read_test_ledger
from handsigns.results.trial import TrialRecord
from handsigns.results.winner import (
    ModelCard,
    RetrainingEpoch,
    RetrainingRecord,
    SeedRun,
    SelectionMethod,
    write_retraining,
)
from handsigns.training.device import local_torch_state, pick_device, release_gpu_memory
from handsigns.training.device_data import split_to_device
from handsigns.training.evaluate import evaluate
from handsigns.winner.checkpoint import UntrainedError, load_trained_model
from handsigns.winner.model import save_model
from handsigns.winner.model_card import write_readme
from handsigns.winner.threshold import validation_threshold

_LOWEST_TRAIN_LOSS = "lowest loss on the training images"
_ENSEMBLE = "ensemble of all seeds that did not diverge"


@release_gpu_memory()
def write_winner(
    search: StoredSearch,
    data: DataSet,
    paths: RetrainingPaths,
    runs: Sequence[TrialRecord],
    *,
    seconds: float,
    selected_by: SelectionMethod,
    selection_note: str = "",
    ensemble: bool,
    progress: Callable[[int, int], None],
    user_code: UserCode | None = None,
) -> tuple[ModelCard, list[SeedRun]]:
    """Evaluate the retrained models of a trial, and keep one, or an ensemble, in ``winner/``.

    No split is left for selection, and the test split must not be used: the model with the lowest
    loss on the training images is kept, or an ensemble of all. An earlier winner is moved aside.

    Args:
        search: search of the trial.
        data: data of the search.
        paths: files of the retraining, with its checkpoints.
        runs: finished runs of the retraining.
        seconds: seconds that the retraining took.
        selected_by, selection_note: how the trial was selected.
        ensemble: keep all models that did not diverge, and average their probabilities.
        progress: callback with the numbers of evaluated and of all models.
        user_code: the user code that the trial ran.

    Raises:
        ResultsError: every seed diverged, or a checkpoint is missing or damaged.
    """
    train_val = concat_splits(data.train, data.val)
    device = pick_device(0 if search.config.resources.gpus_per_trial == 0 else None)
    seed_runs: list[SeedRun] = []
    models: dict[int, nn.Module] = {}
    with local_torch_state(available_cpus(), device):
        images, labels = split_to_device(train_val, device)
        for number, run in enumerate(runs, 1):
            loss = None
            if run.status != "diverged":
                model = _load_model(search, data, paths, run, device, user_code)
                inferred = inference_model(model, run.config)
                loss = evaluate(inferred, images, labels, len(data.info.classes)).loss
                if math.isfinite(loss):
                    models[run.seed] = model
                else:
                    loss = None
            epochs = tuple(map(RetrainingEpoch.from_metrics, run.epochs))
            seed_runs.append(SeedRun(run.seed, loss, epochs))
            progress(number, len(runs))
        trial = search.trial(paths.root.name)
        threshold = validation_threshold(search, data, trial, device, user_code)
    if not models:
        raise ResultsError(
            f"trial {paths.root.name} diverged with every seed when trained on train and "
            f"validation split combined; choose another trial: "
            f"{paths.command('retrain', '--trial', 'ID', *paths.trust_options)}"
        )
    environment = describe_environment(user_code)
    card = ModelCard(
        config=runs[0].config,
        classes=data.info.classes,
        size=data.info.size,
        epochs=search.config.budget.max_epochs,
        seeds=tuple(models) if ensemble else (_lowest_loss(seed_runs).seed,),
        search=search.paths.name,
        trial_id=paths.root.name,
        selected_by=selected_by,
        selected_after_test=selected_by in ("user", "smallest")
        and bool(read_test_ledger(search.paths.test_ledger)),
        fingerprint=data.info.fingerprint,
        git_revision=(environment["git"] or {}).get("revision"),
        user_code=user_code.code_metadata() if user_code else {},
        trained_seeds=tuple(models),
        confidence_threshold=threshold,
        selection_note=selection_note,
    )
    placements = [run.placement for run in runs if run.placement is not None]
    retraining = RetrainingRecord(
        trial_id=card.trial_id,
        selected_seeds=card.seeds,
        selection_rule=_ENSEMBLE if ensemble else _LOWEST_TRAIN_LOSS,
        num_train_images=len(train_val),
        seconds=round(seconds, 3),
        device=", ".join(dict.fromkeys(placement.device for placement in placements)),
        threads=max(placement.threads for placement in placements),
        environment=environment,
        runs=tuple(seed_runs),
    )
    _write_files(search, models, card, retraining, user_code)
    return card, seed_runs


def _load_model(
    search: StoredSearch,
    data: DataSet,
    paths: RetrainingPaths,
    run: TrialRecord,
    device: torch.device,
    user_code: UserCode | None,
) -> nn.Module:
    """Return the model that a run evaluates, from its last checkpoint."""
    try:
        return load_trained_model(search, data.info, paths, run, device, user_code)
    except UntrainedError as error:
        raise ResultsError(
            f"the last checkpoint of run {run.trial_id} cannot be read: {error}\n"
            f"to train its seeds again, remove {paths.root}; then: {paths.resume_command}"
        ) from error


def _lowest_loss(runs: list[SeedRun]) -> SeedRun:
    return min(runs, key=lambda run: math.inf if run.loss is None else run.loss)


def _write_files(
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
