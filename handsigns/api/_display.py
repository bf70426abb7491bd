"""Representation of results at a prompt and in a notebook."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from handsigns.console.format import percent, pluralize
from handsigns.console.sanitize import printable

if TYPE_CHECKING:
    from handsigns.api.searches import SearchResults

_TOP = 5
_COLUMNS = ("rank", "trial_id", "status", "val_accuracy", "val_loss", "epochs")


def summary_line(results: SearchResults) -> str:
    """Return name, trial counts and best trial on one line."""
    return printable(f"{results.name}: {_counts(results)}; {_best(results)}")


def summary_html(results: SearchResults) -> str:
    """Return the summary with a table of the best trials, as HTML for a notebook."""
    head = results.leaderboard.head(_TOP)
    varied = [name for name in results.config.space.searched_names if name in head.columns]
    table = head[[*_COLUMNS, *varied]].to_html(index=False, escape=True, na_rep="–", border=0)
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
    return (
        f"best: trial {best['trial_id']}, val_accuracy {percent(best['val_accuracy'])}, "
        f"val_loss {best['val_loss']:.4f}"
    )
