"""Turn searches into pages: the report of one, and the comparison of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.format import counted
from handsigns.console.progress import progress
from handsigns.console.sanitize import note, printable
from handsigns.errors import ConfigError
from handsigns.results.paths import SearchPaths
from handsigns.workflow.searches import open_at

if TYPE_CHECKING:
    from handsigns.reporting.compare import Comparison
    from handsigns.results.store import StoredSearch

REPORTS = Path("reports")
"""Where reports go unless the user names another folder."""
_LONGEST_NAME = 100
"""Characters in the name of a comparison's folder; many searches have only their number there."""


def write_report(search: StoredSearch, reports: Path = REPORTS) -> Path:
    """Write a search's report into a folder of its name, showing progress; return the page.

    Raises:
        ResultsError: another page is in its place.
        OSError: the folder cannot be written.
    """
    from handsigns.reporting.write import write_report as write

    with progress("writing the report") as report:
        return write(search, reports / search.paths.name, report=report)


def follow_report(paths: SearchPaths, reports: Path = REPORTS) -> Path:
    """Write a search's report again and again until no process runs it; return the page.

    Raises:
        ResultsError, OSError: see `write_report`.
    """
    from handsigns.reporting.follow import follow
    from handsigns.results.background_sync import kept_fresh

    def print_written(search: StoredSearch, page: Path) -> None:
        ended = sum(record.ended for record in search.journal.records)
        print(f"{printable(str(page))}: {counted(ended, 'trial')} ended", flush=True)

    with kept_fresh(paths, note):
        return follow(paths, reports / paths.name, print_written)


def compare(
    names: Sequence[str], results: Path, reports: Path | None = REPORTS
) -> tuple[Comparison, Path | None]:
    """Compare searches, and write the page of that into a folder of their names.

    Args:
        names: of two or more searches.
        results: folder of all searches.
        reports: folder of all reports; None writes no page.

    Returns:
        what is to be said of them, and the page.

    Raises:
        ConfigError: these are fewer than two.
        ResultsError: there is no such search, or another page is in the place of this.
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
    return comparison, write_comparison(searches, reports / _folder(distinct))


def _folder(names: Sequence[str]) -> str:
    whole = "-".join(["compare", *names])
    return whole if len(whole) <= _LONGEST_NAME else f"compare-{names[0][:60]}-and-{len(names) - 1}"
