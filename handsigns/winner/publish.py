"""Export of the winner to the trackers of its search: a registered model, a run."""

from __future__ import annotations

from handsigns.results.test_result import read_test_result
from handsigns.results.winner import ModelCard, read_model_card
from handsigns.tracking.base import TrackedSearch

WinnerMetrics = dict[str, float | str]


def publish(tool: str, search: TrackedSearch) -> str:
    """Export the winner, and its test result if there is one, to a tracker (idempotent).

    Returns:
        a message for the user; empty if the tracker does not support winners.

    Raises:
        ResultsError: the winner is missing or damaged, or its search has not been exported.
    """
    card = read_model_card(search.paths.winner)
    winner_metrics = _collect_metrics(search, card)
    match tool:
        case "mlflow":
            from handsigns.winner.mlflow_registry import register

            return register(search, card, winner_metrics)
        case "wandb":
            from handsigns.tracking.wandb_runs import WandbRuns

            WandbRuns(search).log_winner(card.config.hyperparameters(), winner_metrics)
            return f"wandb: the winner is the run {search.name}-winner"
    return ""


def _collect_metrics(search: TrackedSearch, card: ModelCard) -> WinnerMetrics:
    winner_metrics: WinnerMetrics = {
        "trial_id": card.trial_id,
        "selected_by": card.selected_by,
        "retraining_epochs": card.epochs,
        "retraining_seed": ", ".join(map(str, card.seeds)),
    }
    test = read_test_result(search.paths.winner)
    if test is not None:
        low, high = test.interval
        winner_metrics |= {
            "test_accuracy": test.accuracy,
            "test_ci95_low": low,
            "test_ci95_high": high,
        }
    return winner_metrics
