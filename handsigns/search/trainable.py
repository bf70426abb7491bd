"""One trial, as Ray runs it: train, save a checkpoint, report, epoch by epoch."""

from __future__ import annotations

import dataclasses
import os
import socket
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from ray import tune

from handsigns.config.trial import TrialConfig
from handsigns.search.paths import checkpoint_files
from handsigns.search.record import Placement
from handsigns.search.repeats import splits_of
from handsigns.search.task import TrialTask
from handsigns.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from handsigns.training.device import pick_device
from handsigns.training.fit import DivergedError, TrainingPlan, TrainingState, fit, start


def train_trial(config: dict[str, Any], task: TrialTask) -> None:
    """Train one configuration, from its latest checkpoint where there is one.

    A divergence or an error is reported, not raised: trying again would end the same way. A process
    that dies is another matter, and Ray starts the trial anew.
    """
    torch.set_num_threads(task.threads)
    # Ray ends a trial by raising SystemExit from `report`, which is no Exception and passes.
    try:
        _train_and_report(config, task)
    except DivergedError as error:
        tune.report({"diverged": str(error)})
    except _UnwrittenError as error:
        tune.report({"unwritten": str(error)})
    except Exception:
        tune.report({"failed": traceback.format_exc()})


def _train_and_report(config: dict[str, Any], task: TrialTask) -> None:
    plan = TrainingPlan(
        config=TrialConfig.from_params(config["hyperparameters"]),
        classes=task.classes,
        size=task.size,
        max_epochs=task.max_epochs,
        seed=config["seed"],
        device=pick_device(task.gpus),
        own=task.own,
    )
    latest, previous = checkpoint_files(task.checkpoints, config["trial_id"])
    where = dataclasses.asdict(_placement(plan.device, task.threads))
    state = _last_state((latest, previous), plan, known=config["epochs"])
    # Reports may have died with the process that trained, or with the driver.
    for metrics in state.recent:
        if metrics.epoch > config["epochs"]:
            tune.report({**dataclasses.asdict(metrics), **where})
    # Epochs that are known already, as a checkpoint was lost, are passed over when reported again.
    splits = splits_of(config["trial_id"], task.train, task.val, task.study_seed)
    for metrics in fit(state, *splits):
        try:
            save_checkpoint(latest, state, previous)
        except OSError as error:
            raise _UnwrittenError(str(error)) from error
        tune.report({**dataclasses.asdict(metrics), **where})


class _UnwrittenError(Exception):
    """A checkpoint cannot be written: no fault of the trial's, and the whole search must know."""


def _last_state(checkpoints: Iterable[Path], plan: TrainingPlan, known: int) -> TrainingState:
    """That of the first whole checkpoint; the beginning where there is none.

    Args:
        checkpoints: the latest first.
        plan: of the trial.
        known: epochs that are recorded; a checkpoint must tell of all later ones.
    """
    for checkpoint in checkpoints:
        if checkpoint.exists():
            try:
                state = load_checkpoint(checkpoint, plan)
            except CheckpointError as error:
                tune.report({"note": f"{error}; an earlier one is used, or the trial starts over"})
                continue
            if not state.recent or state.recent[0].epoch <= known + 1:
                return state
    return start(plan)


def _placement(device: torch.device, threads: int) -> Placement:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    node = f"{socket.gethostname()}/{os.getpid()}"
    return Placement(node=node, device=f"{device.type} {name}".strip(), threads=threads)
