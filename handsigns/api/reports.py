"""Reports, suspect labels and comparisons of searches."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.api._paths import PathLike, as_path
from handsigns.workflow import report as reporting
from handsigns.workflow.searches import open_synced
from handsigns.workflow.suspects import load_suspects

if TYPE_CHECKING:
    from handsigns.reporting.compare import Comparison
    from handsigns.results.suspects import SuspectLabels


def report(
    name: str,
    *,
    storage: str | None = None,
    results: PathLike = "results",
    reports: PathLike = "reports",
) -> Path:
    """Write the report of a search, also while it runs.

    Args:
        name: name of the search.
        storage: storage to pull its copy from; None: the recorded one, if any.
        results: folder of all searches.
        reports: folder of all reports; this one is in a subfolder named after the search.

    Returns:
        Path of the page, to be opened in a browser.

    Raises:
        ResultsError: there is no such search, its journal or re-evaluation is damaged, or the
            page's path holds something that is not a report.
    """
    with open_synced(Path(results), name, storage) as search:
        return reporting.write_report(search, Path(reports))


def compare(
    names: Iterable[str],
    *,
    results: PathLike = "results",
    reports: PathLike | None = "reports",
) -> Comparison:
    """Compare searches: best result over time, cost, and search spaces.

    Args:
        names: names of two or more searches.
        results: folder of all searches.
        reports: folder of all reports; the page is in its subfolder ``compare-A+B``. None: write
            no page.

    Returns:
        The comparison.

    Raises:
        ConfigError: fewer than two searches are named.
        ResultsError: a search does not exist, or the page's path holds something else.
    """
    comparison, _ = reporting.compare(list(names), Path(results), as_path(reports))
    return comparison


def suspects(
    name: str, *, storage: str | None = None, results: PathLike = "results"
) -> SuspectLabels:
    """Return the images whose labels are probably wrong, as the good models of a search judge them.

    Confident learning (Northcutt et al., 2021) finds them from predictions of models that were not
    trained on them. `search(relabel=…)` and `search(exclude=…)` correct them.

    Args:
        name: name of the search.
        storage: storage to pull its copy from; None: the recorded one, if any.
        results: folder of all searches.

    Raises:
        ResultsError: there is no such search, or none of its trials was trained to the end.
    """
    with open_synced(Path(results), name, storage) as search:
        return load_suspects(search)
