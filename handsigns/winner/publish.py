"""The winner for the tools its search was tracked with: a registered model, a run."""

from __future__ import annotations

from handsigns.results.winner import ModelCard, read_card, read_test
from handsigns.tracking.base import TrackedSearch

Figures = dict[str, float | str]


def publish(tool: str, search: TrackedSearch) -> str:
    """Hand the winner, and its test result where there is one, to a tool that takes winners.

    What the tool has already is not handed over twice.

    Returns:
        what was done, for the user; empty where the tool takes no winners.

    Raises:
        ResultsError: there is no whole winner, or the tool does not know the search.
    """
    card = read_card(search.paths.winner)
    figures = _figures(search, card)
    match tool:
        case "mlflow":
            from handsigns.winner.mlflow_registry import register

            return register(search, card, figures)
        case "wandb":
            from handsigns.tracking.wandb_runs import WandbRuns

            WandbRuns(search).write_winner(card.config.hyperparameters(), figures)
            return f"wandb: the winner is the run {search.name}-winner"
    return ""


def _figures(search: TrackedSearch, card: ModelCard) -> Figures:
    figures: Figures = {
        "trial_id": card.trial_id,
        "chosen": card.chosen,
        "retrained_epochs": card.epochs,
        "retraining_seed": ", ".join(map(str, card.seeds)),
    }
    test = read_test(search.paths.winner)
    if test is not None:
        low, high = test.interval
        figures |= {"test_accuracy": test.accuracy, "test_ci95_low": low, "test_ci95_high": high}
    return figures
