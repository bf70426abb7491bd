"""Representation of results at a prompt and in a notebook."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from handsigns.console.format import format_metric, pluralize
from handsigns.console.sanitize import printable
from handsigns.metrics import Metric

if TYPE_CHECKING:
    from handsigns.api.searches import SearchResults

_TOP = 5


def summary_line(results: SearchResults) -> str:
    """Return name, trial counts and best trial on one line."""
    return printable(f"{results.name}: {_counts(results)}; {_best(results)}")


def summary_html(results: SearchResults) -> str:
    """Return the summary with a table of the best trials, as HTML for a notebook."""
    head = results.leaderboard.head(_TOP)
    varied = [name for name in results.config.space.searched_names if name in head.columns]
    columns = ("rank", "trial_id", "status", *_shown_metrics(results), "epochs")
    table = head[[*columns, *varied]].to_html(index=False, escape=True, na_rep="–", border=0)
    text = printable(f"{_counts(results)}; {_best(results)}")
    return (
        f"<div><strong>{html.escape(printable(results.name))}</strong>"
        f"<p>{html.escape(text)}</p>{table}</div>"
    )


def _counts(results: SearchResults) -> str:
    counts = results.trials["status"].value_counts()
    each = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    trials = pluralize(len(results.trials), "trial")
    return f"{trials} ({each})" if each else trials


def _best(results: SearchResults) -> str:
    ranked = results.leaderboard[results.leaderboard["rank"].notna()]
    if ranked.empty:
        return "no result yet"
    best = ranked.iloc[0]
    values = [f"{name} {format_metric(name, best[name])}" for name in _shown_metrics(results)]
    return ", ".join([f"best: trial {best['trial_id']}", *values])


def _shown_metrics(results: SearchResults) -> list[Metric]:
    return list(dict.fromkeys([results.config.objective.score, "val_accuracy", "val_loss"]))
