"""Starting, resuming and loading of searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.api._display import summary_html, summary_line
from handsigns.api._paths import PathLike, as_path, as_paths
from handsigns.workflow import new_search
from handsigns.workflow import resume as resuming
from handsigns.workflow.data import InputOptions
from handsigns.workflow.report import write_report
from handsigns.workflow.searches import open_synced
from handsigns.workflow.sync import push_on_exit
from handsigns.workflow.trials import FinishedRun, RunOptions

if TYPE_CHECKING:
    import pandas as pd

    from handsigns.config.search import SearchConfig
    from handsigns.data.splits import DataInfo
    from handsigns.results.store import StoredSearch


@dataclass(frozen=True, eq=False, repr=False)
class SearchResults:
    """Results of a search. docs/reference/result-files.md explains each column of the data frames.

    Attributes:
        name: name of the search.
        config: resolved search configuration.
        data: metadata of its images.
        trials: one row per trial, in order of start.
        epochs: one row per epoch of each trial.
        decisions: one row per decision of the scheduler.
        leaderboard: the trials, best first.
        reason: why the search ended; None if it was loaded from its files.
        interrupted: whether the user interrupted it (`resume` continues it).
    """

    name: str
    config: SearchConfig
    data: DataInfo
    trials: pd.DataFrame
    epochs: pd.DataFrame
    decisions: pd.DataFrame
    leaderboard: pd.DataFrame
    reason: str | None = None
    interrupted: bool = False

    def __repr__(self) -> str:
        return f"<SearchResults {summary_line(self)}>"

    def _repr_html_(self) -> str:
        return summary_html(self)


def search(
    space: PathLike,
    *,
    data: PathLike | None = None,
    name: str | None = None,
    size: int = 64,
    skip_bad: bool = False,
    group_by: str | None = None,
    relabel: PathLike | Sequence[PathLike] = (),
    exclude: PathLike | Sequence[PathLike] = (),
    trials: int | None = None,
    max_epochs: int | None = None,
    time_budget: str | float | None = None,
    target: float | None = None,
    seed: int | None = None,
    cpus_per_trial: float | str | None = None,
    gpus_per_trial: float | str | None = None,
    overrides: Sequence[str] = (),
    track: str | None = None,
    warm_start: str | None = None,
    storage: str | None = None,
    address: str | None = None,
    dashboard: bool = False,
    trust_user_code: bool = False,
    results: PathLike = "results",
    reports: PathLike | None = "reports",
) -> SearchResults:
    """Search hyperparameters, showing progress.

    Ctrl-C, or a notebook's stop button, ends the search gracefully.

    Args:
        space: search-space file, or name of a preset (``quick``, ``default``, …).
        data: folder, zip or tar of images; None: synthetic hands.
        name: name of the search; None: name of the space with a timestamp.
        size: height and width of the images, 16 to 1024 pixels.
        skip_bad: skip files that cannot be used.
        group_by: groups of images that are kept together when splitting: ``folder``, a CSV file
            in the data folder, or a regular expression over file names.
        relabel: CSV file, or several, of train and val images that get the class in the column
            ``suggested``, such as `SuspectLabels.write_csv` writes; the images' files stay as they
            are.
        exclude: CSV file, or several, of train and val images that are left out.
        trials: number of configurations; this and the next three override the space's budget.
        max_epochs: epochs of a trial that is not stopped early.
        time_budget: time limit in seconds, or text such as ``15m``.
        target: validation score at which the search ends: of the objective, or accuracy.
        seed: seed of the search.
        cpus_per_trial: number, or ``auto``.
        gpus_per_trial: number, or ``auto``.
        overrides: any other value of the space, each as ``dotted.key=value``.
        track: experiment trackers: ``tensorboard,mlflow=http://localhost:5000``.
        warm_start: name of an earlier search to start from.
        storage: folder shared by all nodes, or URL of an object store, for checkpoints and a copy
            of the results.
        address: address of a Ray cluster; None starts a local Ray.
        dashboard: start Ray's dashboard, on loopback.
        trust_user_code: run user code that the search space names.
        results: folder of all searches.
        reports: folder of all reports; None: write no report.

    Returns:
        The results, also of an interrupted search.

    Raises:
        ConfigError: the search space, or a value, is invalid.
        DataError: the data cannot be used, or corrections do not fit them.
        ResultsError: the name is taken, or results cannot be written.
        ResourceError: a trial requires more resources than are available.
    """
    settings = {
        "group_by": group_by,
        "trials": trials,
        "max_epochs": max_epochs,
        "time_budget": time_budget,
        "target": target,
        "seed": seed,
        "cpus_per_trial": cpus_per_trial,
        "gpus_per_trial": gpus_per_trial,
        "storage": storage,
    }
    request = new_search.NewSearchRequest(
        space=str(space),
        settings=settings,
        results=Path(results),
        overrides=overrides,
        track=track,
        name=name,
        data=as_path(data),
        size=size,
        skip_bad=skip_bad,
        relabel=as_paths(relabel),
        exclude=as_paths(exclude),
        warm_start=warm_start,
        trust_user_code=trust_user_code,
    )
    new = new_search.plan_search(request)
    with push_on_exit(new.paths):
        finished = new_search.start_search(new, RunOptions(address, dashboard))
        return _report_and_load(finished, reports)


def resume(
    name: str,
    *,
    trials: int | None = None,
    time_budget: str | float | None = None,
    track: str | None = None,
    data: PathLike | None = None,
    accept_changed_data: bool = False,
    accept_changed_code: bool = False,
    storage: str | None = None,
    address: str | None = None,
    dashboard: bool = False,
    trust_user_code: bool = False,
    results: PathLike = "results",
    reports: PathLike | None = "reports",
) -> SearchResults:
    """Resume an interrupted search, or extend one by more trials or time.

    It continues with exactly the decisions that an uninterrupted search would have made.

    Args:
        name: name of the search.
        trials: total number of configurations; None: as before.
        time_budget: total time, including what is already used; None: as before.
        track: experiment trackers to add: ``tensorboard,mlflow=http://localhost:5000``.
        data: current folder of the images, if they were moved.
        accept_changed_data: resume on a changed data set; unfinished trials restart.
        accept_changed_code: resume with changed code or libraries.
        storage: storage to pull its copy from; None: the recorded one, if any.
        address: address of a Ray cluster; None starts a local Ray.
        dashboard: start Ray's dashboard, on loopback.
        trust_user_code: run user code that the search names.
        results: folder of all searches.
        reports: folder of all reports; None: write no report.

    Returns:
        The results, also of an interrupted search.

    Raises:
        ConfigError: a value is invalid.
        DataError: the data have changed, and that was not accepted.
        ResultsError: there is no such search, it is finished or running, or the code has changed.
        ResourceError: a trial requires more resources than are available.
    """
    request = resuming.ResumeRequest(
        settings={"trials": trials, "time_budget": time_budget, "storage": storage},
        inputs=InputOptions(as_path(data), trust_user_code),
        track=track,
        accept_changed_data=accept_changed_data,
        accept_changed_code=accept_changed_code,
    )
    with open_synced(Path(results), name, storage) as stored:
        finished = resuming.resume(stored, request, RunOptions(address, dashboard))
        return _report_and_load(finished, reports)


def load_results(
    name: str, *, storage: str | None = None, results: PathLike = "results"
) -> SearchResults:
    """Load the results of a search, also while it runs.

    Args:
        name: name of the search.
        storage: storage to pull its copy from; None: the recorded one, if any.
        results: folder of all searches.

    Raises:
        ResultsError, ConfigError: there is no such search, or its files are damaged.
    """
    with open_synced(Path(results), name, storage) as stored:
        return _results(stored)


def _report_and_load(finished: FinishedRun, reports: PathLike | None) -> SearchResults:
    """Return the results of a finished run, after writing its report unless `reports` is None."""
    if reports is not None:
        write_report(finished.search, Path(reports))
    outcome = finished.outcome
    return _results(finished.search, reason=outcome.reason, interrupted=outcome.interrupted)


def _results(
    stored: StoredSearch, *, reason: str | None = None, interrupted: bool = False
) -> SearchResults:
    from handsigns.results.frames import (
        decision_frame,
        epoch_frame,
        leaderboard_frame,
        trial_frame,
    )

    return SearchResults(
        name=stored.paths.name,
        config=stored.config,
        data=stored.data.info,
        trials=trial_frame(stored.journal),
        epochs=epoch_frame(stored.journal),
        decisions=decision_frame(stored.journal),
        leaderboard=leaderboard_frame(stored.journal, stored.config.objective),
        reason=reason,
        interrupted=interrupted,
    )
