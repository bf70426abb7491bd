"""The report of a search, written into a folder, from the search's files alone."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from handsigns.config.load import dump_study
from handsigns.errors import ResultsError
from handsigns.io.atomic import write_text
from handsigns.io.own_output import make_output_folder
from handsigns.reporting import caveats as notes
from handsigns.reporting import next_steps as steps
from handsigns.reporting import range_edges as edges
from handsigns.reporting import reevaluation as finals
from handsigns.reporting import summary as answer
from handsigns.reporting.context import (
    MOST_CLASSES,
    Drawings,
    drawings,
    per_class,
    table,
    trials_payload,
)
from handsigns.reporting.figures.figure import Figure, write_figure
from handsigns.reporting.figures.trial import trial_curves
from handsigns.reporting.leaderboard import write_leaderboard
from handsigns.reporting.page import MARK, figures_payload, render, render_plain
from handsigns.reporting.winner import Winner, read_environment, read_winner
from handsigns.results.class_scores import left_out
from handsigns.results.store import StoredSearch
from handsigns.results.timeline import Timeline, read_timeline

PAGE = "index.html"
FIGURES = "figures"

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is."""


def silent(done: int, total: int) -> None:
    """No one is told."""


def write_report(
    search: StoredSearch,
    folder: Path,
    *,
    reload_seconds: int | None = None,
    figures: bool = True,
    report: Progress = silent,
) -> Path:
    """Write the page, the leaderboard as Markdown, CSV and HTML, and the figures as SVG and PNG.

    The search may be running, broken off, without any result, or a copy; nothing of it is changed.
    Damaged files beside its journal are told of on the page.

    Args:
        folder: made where there is none; an earlier report there is replaced.
        reload_seconds: the page reads itself anew so often; None: it does not.
        figures: whether to write the figures' files too, which takes seconds.
        report: told how much is done.

    Returns:
        the page.

    Raises:
        ResultsError: the journal is damaged, or the folder holds a page that is none of ours.
        OSError: the folder cannot be written.
    """
    page = prepare_folder(folder)
    timeline = read_timeline(search.paths.journal)
    known = read_winner(search.paths)
    drawn = drawings(search, known, timeline, report)
    if figures:
        write_figures(list(drawn), folder, report)
    write_text(page, _page(search, known, timeline, drawn, reload_seconds, folder))
    _write_tables(search, folder)
    return page


def prepare_folder(folder: Path) -> Path:
    """Make the folder of a report; returns where its page goes.

    Raises:
        ResultsError: a page stands there that is none of ours.
    """
    page = folder / PAGE
    make_output_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    if page.exists() and MARK not in page.read_text(encoding="utf-8", errors="replace")[:8192]:
        raise ResultsError(
            f"{page} exists and is no report; move it away, or choose another folder "
            f"(--reports DIR)"
        )
    return page


def write_figures(figures: Sequence[Figure], folder: Path, report: Progress) -> None:
    """Write each as SVG and PNG into the folder for figures."""
    (folder / FIGURES).mkdir(exist_ok=True)
    for number, figure in enumerate(figures, 1):
        write_figure(figure, folder / FIGURES)
        report(number, len(figures))


def now_in_words() -> str:
    """The time of day, with its zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z")


def _page(
    search: StoredSearch,
    known: Winner,
    timeline: Timeline,
    drawn: Drawings,
    reload_seconds: int | None,
    folder: Path,
) -> str:
    columns, rows = table(search)
    payload = {
        **figures_payload(list(drawn)),
        **trials_payload(search),
        "curves": trial_curves(),
        "replay": steps.replay_line(search, "TRIAL"),
    }
    return render(
        "report.html.j2",
        payload,
        **_words(search, known, timeline),
        reload_seconds=reload_seconds,
        columns=columns,
        rows=rows,
        statuses=sorted({row.status for row in rows}),
        course=drawn.course,
        learned=bool(drawn.slices),
        importance=drawn.importance,
        importance_note=drawn.importance_note,
        parallel=drawn.parallel,
        slices=drawn.slices,
        pairs=drawn.pairs,
        winner_figures=drawn.winner,
        drawn=all((folder / FIGURES / f"{figure.name}.svg").is_file() for figure in drawn),
    )


def _words(search: StoredSearch, known: Winner, timeline: Timeline) -> dict[str, Any]:
    problems = list(known.problems)
    environment = read_environment(search.paths, problems)
    winner, now = search.winner, steps.phase(search)
    found = edges.find_edges(search.study.space, winner.params) if winner else []
    return {
        "name": search.paths.name,
        "description": search.study.description.strip(),
        "made": now_in_words(),
        "objective": search.study.objective.metric,
        "winner": winner,
        "winner_params": answer.params_text(search, winner) if winner else "",
        "cards": answer.cards(search, known, timeline),
        "comparisons": answer.comparisons(search, final=now == "ended"),
        "finals_columns": finals.COLUMNS,
        "finals": finals.rows(search),
        "warnings": [*problems, *notes.warnings(search, known)],
        "commands": steps.commands(search, known, now),
        "headline": steps.headline(search, now),
        "phase": now,
        "edges": found,
        "edges_yaml": edges.as_yaml(found),
        "test": known.test,
        "retraining": known.retraining,
        "per_seed": answer.seeds_text(known.test.per_seed) if known.test else "",
        "per_class": per_class(known.test) if known.test else [],
        "album": known.album,
        "facts": notes.facts(search, environment),
        "class_counts": notes.class_counts(search, MOST_CLASSES),
        "classes": len(search.data.info.classes),
        "classes_left_out": left_out(
            min(MOST_CLASSES, len(known.test.classes)), len(known.test.classes), "winner/test.json"
        )
        if known.test
        else "",
        "study_yaml": dump_study(search.study),
    }


def _write_tables(search: StoredSearch, folder: Path) -> None:
    for form in ("md", "csv"):
        text = io.StringIO()
        write_leaderboard(search, None, form, text)
        write_text(folder / f"leaderboard.{form}", text.getvalue())
    columns, rows = table(search)
    plain = render_plain(
        "leaderboard.html.j2",
        name=search.paths.name,
        objective=search.study.objective.metric,
        columns=columns,
        rows=rows,
    )
    write_text(folder / "leaderboard.html", plain)
