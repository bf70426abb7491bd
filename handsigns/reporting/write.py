"""Report of a search: page, tables and figures, generated from the search's files alone."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from handsigns.config.load import dump_search_config
from handsigns.console.program import CONSOLE_SCRIPT
from handsigns.console.progress import ProgressCallback, no_progress
from handsigns.errors import ResultsError
from handsigns.io.atomic import write_text
from handsigns.io.output_marker import make_output_folder
from handsigns.reporting import caveats, next_steps, range_edges, reevaluation, summary, suspects
from handsigns.reporting.context import (
    MAX_CLASSES,
    ReportFigures,
    leaderboard_rows,
    make_report_figures,
    per_class,
    trials_payload,
)
from handsigns.reporting.figures.figure import Figure, write_figure
from handsigns.reporting.figures.trial import trial_curves
from handsigns.reporting.leaderboard import write_leaderboard
from handsigns.reporting.page import GENERATOR_META_PREFIX, figures_payload, render, render_plain
from handsigns.reporting.winner import (
    WinnerSummary,
    read_environment,
    read_tolerantly,
    read_winner_summary,
)
from handsigns.results.class_scores import omission_note
from handsigns.results.paths import SearchPaths
from handsigns.results.search_state import read_search_state
from handsigns.results.store import StoredSearch, read_data_check
from handsigns.results.suspects import read_suspects
from handsigns.results.timeline import Timeline, read_timeline

PAGE = "index.html"
FIGURES = "figures"

PageKind = Literal["search report", "comparison of searches", "forecast of a search", "data check"]
"""Kind of a page, with which its title ends."""


def write_report(
    search: StoredSearch,
    folder: Path,
    *,
    reload_seconds: int | None = None,
    figures: bool = True,
    report: ProgressCallback = no_progress,
) -> Path:
    """Write the page, the leaderboard as Markdown, CSV and HTML, and the figures as SVG and PNG.

    The search may be running, interrupted, without any result, or a copy; it is not modified. The
    page lists damaged files, except those that decide the winner: the journal and a re-evaluation.

    Args:
        search: the search.
        folder: created if missing; an earlier report there is replaced.
        reload_seconds: interval at which the page reloads itself; None: never.
        figures: whether to write, and link, the figures' files too, which takes seconds.
        report: called with the progress.

    Returns:
        The path of the page.

    Raises:
        ResultsError: the journal or the re-evaluation is damaged; or see `prepare_folder`.
        OSError: the folder cannot be written.
    """
    page = prepare_folder(folder, "search report")
    timeline = read_timeline(search.paths.journal)
    winner_summary = read_winner_summary(search.paths)
    report_figures = make_report_figures(search, winner_summary, timeline, report)
    if figures:
        write_figures(list(report_figures), folder, report)
    write_text(
        page,
        _page(
            search,
            winner_summary,
            timeline,
            report_figures,
            reload_seconds,
            figure_files_exist=figures,
        ),
    )
    _write_tables(search, folder)
    return page


def prepare_folder(folder: Path, kind: PageKind) -> Path:
    """Create the folder of a report; return the path of its page.

    Raises:
        ResultsError: the folder holds a search, or a page of another kind.
    """
    page = folder / PAGE
    if SearchPaths(folder).search_config.exists():
        raise ResultsError(f"{folder} holds a search; choose another folder (--reports DIR)")
    make_output_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    if page.exists() and not _is_page(page, kind):
        raise ResultsError(
            f"{page} exists and is not a {kind}; move it away, or choose another folder "
            f"(--reports DIR)"
        )
    return page


def _is_page(path: Path, kind: PageKind) -> bool:
    head = path.read_text(encoding="utf-8", errors="replace")[:8192]
    return GENERATOR_META_PREFIX in head and f" – {kind}</title>" in head


def write_figures(figures: Sequence[Figure], folder: Path, report: ProgressCallback) -> None:
    """Write each figure as SVG and PNG into the folder's subfolder for figures."""
    (folder / FIGURES).mkdir(exist_ok=True)
    for number, figure in enumerate(figures, 1):
        write_figure(figure, folder / FIGURES)
        report(number, len(figures))


def local_timestamp() -> str:
    """Return the local time with its zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z")


def _page(
    search: StoredSearch,
    winner_summary: WinnerSummary,
    timeline: Timeline,
    report_figures: ReportFigures,
    reload_seconds: int | None,
    *,
    figure_files_exist: bool,
) -> str:
    columns, rows = leaderboard_rows(search)
    payload = {
        **figures_payload(list(report_figures)),
        **trials_payload(search),
        "curves": trial_curves(search.config.objective),
        # No name of a search, which stands before it, contains an @.
        "replay": next_steps.replay_line(search, "@TRIAL@"),
    }
    return render(
        "report.html.j2",
        payload,
        **_template_context(search, winner_summary, timeline),
        reload_seconds=reload_seconds,
        columns=columns,
        rows=rows,
        statuses=sorted({row.status for row in rows}),
        progress=report_figures.progress,
        size_figures=report_figures.size,
        has_analysis=bool(report_figures.slices),
        importance=report_figures.importance,
        importance_note=report_figures.importance_note,
        parallel=report_figures.parallel,
        slices=report_figures.slices,
        pairs=report_figures.pairs,
        winner_figures=report_figures.winner,
        figure_files_exist=figure_files_exist,
    )


def _template_context(
    search: StoredSearch, winner_summary: WinnerSummary, timeline: Timeline
) -> dict[str, Any]:
    problems = list(winner_summary.problems)
    environment = read_environment(search.paths, problems)
    check = read_tolerantly("data_check.json", lambda: read_data_check(search), problems)
    suspect_labels = read_tolerantly(
        search.paths.suspects.name,
        lambda: read_suspects(search.paths, search.data.info.fingerprint),
        problems,
    )
    winner, state = search.winner, read_search_state(search)
    edges = range_edges.find_edges(search.config.space, winner.params) if winner else []
    test = winner_summary.test
    return {
        "name": search.paths.name,
        "description": search.config.description.strip(),
        "generated_at": local_timestamp(),
        "objective": search.config.objective.metric,
        "winner": winner,
        "winner_params": summary.params_text(search, winner) if winner else "",
        "cards": summary.cards(search, winner_summary, timeline),
        "comparisons": summary.comparisons(search, final=state.phase == "finished"),
        "reevaluation_columns": reevaluation.table_columns(search.config.objective),
        "reevaluated": reevaluation.table_rows(search),
        "warnings": [*problems, *caveats.warnings(search, winner_summary, suspect_labels)],
        "commands": list(next_steps.commands(search, winner_summary, state)),
        "headline": next_steps.headline(search, state.phase),
        "phase": state.phase,
        "edges": edges,
        "edges_yaml": range_edges.as_yaml(edges),
        "test": test,
        "retraining": winner_summary.retraining,
        "accuracy_per_seed": summary.seeds_text(test.accuracy_per_seed) if test else "",
        "per_class": per_class(test) if test else [],
        "misclassified_images": winner_summary.misclassified_images,
        "provenance": caveats.provenance(search, environment),
        "check": check,
        "suspects": suspect_labels,
        "suspect_lines": suspects.summary_lines(suspect_labels, search.paths, CONSOLE_SCRIPT)
        if suspect_labels
        else [],
        "suspects_command": next_steps.suspects_command(search),
        "class_counts": caveats.class_counts(search, MAX_CLASSES),
        "num_classes": len(search.data.info.classes),
        "classes_omitted": omission_note(
            min(MAX_CLASSES, len(test.classes)), len(test.classes), "winner/test.json"
        )
        if test
        else "",
        "search_yaml": dump_search_config(search.config),
    }


def _write_tables(search: StoredSearch, folder: Path) -> None:
    for fmt in ("md", "csv"):
        text = io.StringIO()
        write_leaderboard(search, None, fmt, text)
        write_text(folder / f"leaderboard.{fmt}", text.getvalue())
    columns, rows = leaderboard_rows(search)
    plain = render_plain(
        "leaderboard.html.j2",
        name=search.paths.name,
        objective=search.config.objective.metric,
        columns=columns,
        rows=rows,
    )
    write_text(folder / "leaderboard.html", plain)
