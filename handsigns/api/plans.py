"""Forecasts of searches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.api._paths import PathLike, as_path
from handsigns.workflow import plan as planning

if TYPE_CHECKING:
    from handsigns.policy.forecast import Forecast


def plan(
    recorded: str,
    space: PathLike | None = None,
    *,
    workers: Sequence[int] = planning.DEFAULT_WORKERS,
    price: float | None = None,
    seeds: int = planning.DEFAULT_SEEDS,
    trust_user_code: bool = False,
    results: PathLike = "results",
    reports: PathLike | None = "reports",
) -> Forecast:
    """Forecast how long a search will take and what it will cost, before it is run.

    The search is simulated over learning curves modelled from the trials of another one.

    Args:
        recorded: name of the search whose trials are the recorded curves; a short one is enough.
        space: search-space file or name of a preset; None: that of the recorded search.
        workers: numbers of concurrent trials.
        price: price of a worker for an hour, in any currency.
        seeds: number of simulated searches of few workers, at least 9; of many there are fewer.
        trust_user_code: run user-defined networks, of which limits need the size.
        results: folder of all searches.
        reports: folder of all reports; the page is in its subfolder ``plan-NAME``. None: write no
            page.

    Returns:
        The forecast.

    Raises:
        ConfigError: the space does not search what was recorded, or a number is invalid.
        ResultsError: the search does not exist or is too short, its user code is not trusted, or
            the page's path holds something else.
    """
    forecast, _ = planning.plan(
        recorded,
        None if space is None else str(space),
        workers,
        price=price,
        seeds=seeds,
        trust_user_code=trust_user_code,
        results=Path(results),
        reports=as_path(reports),
    )
    return forecast
