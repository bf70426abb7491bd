"""Report of one search, and comparison of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.format import pluralize
from handsigns.console.progress import progress
from handsigns.console.sanitize import note, printable
from handsigns.errors import ConfigError
from handsigns.io.digest import short_digest
from handsigns.results.paths import SearchPaths
from handsigns.workflow.searches import open_at

if TYPE_CHECKING:
    from handsigns.reporting.compare import Comparison
    from handsigns.results.store import StoredSearch

REPORTS = Path("reports")
"""Default folder of reports."""
_MAX_NAME_LENGTH = 100
"""Maximum length of a comparison's folder name; beyond it, a digest stands for the names."""


def write_report(search: StoredSearch, reports: Path = REPORTS) -> Path:
    """Write the report into a folder named after the search, showing progress; return the page.

    Raises:
        ResultsError: the page's path holds something that is not a report.
        OSError: the folder cannot be written.
    """
    from handsigns.reporting.write import write_report as write

    with progress("writing the report") as report:
        return write(search, reports / search.paths.name, report=report)


def follow_report(paths: SearchPaths, reports: Path = REPORTS) -> Path:
    """Keep a search's report up to date until no process runs the search; return the page.

    Raises:
        ResultsError, OSError: see `write_report`.
    """
    from handsigns.reporting.follow import follow
    from handsigns.results.background_sync import follow_remote

    def print_written(search: StoredSearch, page: Path) -> None:
        finished = pluralize(search.journal.num_finished, "trial")
        print(f"{printable(str(page))}: {finished} finished", flush=True)

    with follow_remote(paths, note):
        return follow(paths, reports / paths.name, print_written)


def compare(
    names: Sequence[str], results: Path, reports: Path | None = REPORTS
) -> tuple[Comparison, Path | None]:
    """Compare searches, and write a page into a folder of their names.

    Args:
        names: names of two or more searches.
        results: folder of all searches.
        reports: folder of all reports; None: write no page.

    Returns:
        The comparison, and the path of its page.

    Raises:
        ConfigError: fewer than two searches are named.
        ResultsError: a search does not exist, or the page's path holds something else.
    """
    distinct = list(dict.fromkeys(names))
    if len(distinct) < 2:
        raise ConfigError("name at least two searches to compare")
    found = [SearchPaths.existing(results, name) for name in distinct]
    searches = [open_at(paths) for paths in found]

    from handsigns.reporting.compare import compare as compare_searches
    from handsigns.reporting.compare import write_comparison

    comparison = compare_searches(searches)
    if reports is None:
        return comparison, None
    return comparison, write_comparison(
        comparison, searches, reports / _comparison_dirname(distinct)
    )


def _comparison_dirname(names: Sequence[str]) -> str:
    listed = "+".join(names)  # names of searches contain no "+"
    full = f"compare-{listed}"
    short = f"compare-{names[0][:60]}-and-{len(names) - 1}-{short_digest(listed)}"
    return full if len(full) <= _MAX_NAME_LENGTH else short
