"""Trained models from the last checkpoints of their runs."""

from __future__ import annotations

import torch
from torch import nn

from handsigns.config.user_code import UserCode
from handsigns.data.splits import DataInfo
from handsigns.results.checkpoints import checkpoint_store
from handsigns.results.paths import SearchPaths
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord
from handsigns.training.checkpoint import CheckpointError, load_checkpoint
from handsigns.training.state import TrainingPlan


class UntrainedError(Exception):
    """Run without a readable checkpoint of its last epoch; the message is the reason."""


def load_trained_model(
    search: StoredSearch,
    info: DataInfo,
    paths: SearchPaths,
    run: TrialRecord,
    device: torch.device,
    user_code: UserCode | None,
) -> nn.Module:
    """Return the model that a run evaluates after its last epoch.

    Args:
        search: the search.
        info: its data.
        paths: files of the search itself, or of its retraining, to which the run belongs.
        run: record of the run.
        device: device to load it on.
        user_code: the user code that the run ran.

    Raises:
        UntrainedError: it has no readable checkpoint of its last epoch.
    """
    plan = TrainingPlan(
        config=run.config,
        num_classes=len(info.classes),
        image_size=info.size,
        max_epochs=search.config.budget.max_epochs,
        seed=run.seed,
        device=device,
        user_code=user_code,
    )
    try:
        latest = next(checkpoint_store(search.config, paths).load_all(run.trial_id), None)
        if latest is None:
            raise UntrainedError("it is missing")
        name, content = latest
        state = load_checkpoint(content, plan, name)
    except (OSError, CheckpointError) as error:
        raise UntrainedError(str(error)) from error
    if state.epoch != plan.max_epochs:
        raise UntrainedError(f"{name} is of epoch {state.epoch}")
    return state.eval_model
