"""Confidence threshold of a winner, from held-out predictions with its configuration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

from handsigns.config.user_code import UserCode
from handsigns.data.dataset import DataSet
from handsigns.data.folds import training_splits
from handsigns.models import inference_model
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord
from handsigns.stats.calibration import confidence_threshold
from handsigns.training.evaluate import predict_probabilities
from handsigns.winner.checkpoint import UntrainedError, load_trained_model


def validation_threshold(
    search: StoredSearch,
    data: DataSet,
    trial: TrialRecord,
    device: torch.device,
    user_code: UserCode | None,
) -> float | None:
    """Compute the confidence threshold of a trial's configuration on held-out images.

    The winner was trained on the validation split. The predictions are therefore those of a model
    that was not: of the trial itself or, without its checkpoint, of a run of its re-evaluation.

    Args:
        search: the search.
        data: its data.
        trial: trial whose configuration the winner has.
        device: device of the predictions.
        user_code: the user code that the trial ran.

    Returns:
        See `confidence_threshold`; None without a checkpoint of a last epoch, which only the best
        trials and runs keep, of the present data.
    """
    for paths, run in _candidates(search, trial):
        with contextlib.suppress(UntrainedError):
            model = load_trained_model(search, data.info, paths, run, device, user_code)
            _, held_out = training_splits(run.fold, data.train, data.val)
            probs = predict_probabilities(inference_model(model, run.config), held_out, device)
            of_true_class = probs[np.arange(len(held_out)), held_out.labels]
            return confidence_threshold(of_true_class.astype(np.float64))
    return None


def _candidates(
    search: StoredSearch, trial: TrialRecord
) -> Iterator[tuple[SearchPaths, TrialRecord]]:
    """Yield the runs that were trained on the present data.

    After a change of the data that was accepted, others may have seen what is held out now.
    """

    def is_current(journal: Journal, run: TrialRecord) -> bool:
        fingerprints = {journal.sessions[number].fingerprint for number in run.sessions}
        return fingerprints == {search.data.info.fingerprint}

    if is_current(search.journal, trial):
        yield search.paths, trial
    for reevaluated in search.reevaluated_trials:
        if reevaluated.record.trial_id == trial.trial_id:
            for run in reevaluated.runs:
                if is_current(search.reevaluation_journal, run):
                    yield search.paths.reevaluation, run
