"""Turn searches into pages."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.api._paths import PathLike, as_path
from handsigns.workflow import report as reporting
from handsigns.workflow.searches import opened

if TYPE_CHECKING:
    from handsigns.reporting.compare import Comparison


def report(
    name: str,
    *,
    storage: str | None = None,
    results: PathLike = "results",
    reports: PathLike = "reports",
) -> Path:
    """Write the report of a search, also while it runs.

    Args:
        name: of the search.
        storage: where a copy of it is, which is pulled; None: where it is known to be.
        results: the folder of all searches.
        reports: the folder of all reports; this one's is of the search's name.

    Returns:
        the page, to be opened in a browser.

    Raises:
        ResultsError: there is no such search, its journal is damaged, or another page is in the
            report's place.
    """
    with opened(Path(results), name, storage) as search:
        return reporting.write_report(search, Path(reports))


def compare(
    names: Iterable[str],
    *,
    results: PathLike = "results",
    reports: PathLike | None = "reports",
) -> Comparison:
    """Compare searches: how fast they found what, for how much, in which spaces.

    Args:
        names: of two or more searches.
        results: the folder of all searches.
        reports: the folder of all reports, in which a page goes to ``compare-A-B/``; None writes
            none.

    Raises:
        ConfigError: these are fewer than two.
        ResultsError: there is no such search, or another page is in the place of this.
    """
    comparison, _ = reporting.compare(list(names), Path(results), as_path(reports))
    return comparison
