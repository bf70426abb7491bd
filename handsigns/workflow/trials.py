"""Execution of the trials of a new or resumed search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.workflow.searches import reload
from handsigns.workflow.suspects import update_suspects

if TYPE_CHECKING:
    from handsigns.config.search import SearchConfig
    from handsigns.config.user_code import UserCode
    from handsigns.data.dataset import DataSet
    from handsigns.policy.limited_space import LimitedSpace
    from handsigns.policy.source import TrialSource
    from handsigns.results.journal import Journal
    from handsigns.results.store import StoredSearch
    from handsigns.tuning.request import SearchResult, TrialSourceFactory


@dataclass(frozen=True)
class RunOptions:
    """Options for where trials run and how they are interrupted.

    Attributes:
        address: address of a Ray cluster; None starts a local Ray.
        dashboard: whether to start Ray's dashboard, on loopback.
        exit_on_second_interrupt: end the process at the second Ctrl-C, rather than raise
            KeyboardInterrupt.
    """

    address: str | None = None
    dashboard: bool = False
    exit_on_second_interrupt: bool = False


@dataclass(frozen=True)
class FinishedRun:
    """Finished session of a search.

    Attributes:
        search: the search, reloaded from its files.
        outcome: how the session ended.
        hint: what the user can do next; may be empty.
    """

    search: StoredSearch
    outcome: SearchResult
    hint: str = ""


def run_trials(
    search: StoredSearch,
    config: SearchConfig,
    data: DataSet,
    user_code: UserCode | None,
    limited_space: LimitedSpace | None,
    options: RunOptions,
) -> FinishedRun:
    """Run a search, locked by this process, until its budget is exhausted or it is interrupted.

    Args:
        search: new search, or one to resume.
        config: its settings from now on.
        data: its data from now on.
        user_code: user modules that trials may run.
        limited_space: the part of the space that is within the limits; None without limits.
        options: where to run.

    Raises:
        ResourceError, ResultsError: see `SearchSession.run`.
        KeyboardInterrupt: it was interrupted before the first trial, or a second time.
    """
    from handsigns.tuning.request import SearchRequest
    from handsigns.tuning.session import SearchSession

    request = SearchRequest(
        config,
        data,
        search.paths,
        _sampler_factory(search, limited_space),
        trackers=("optuna", *config.tracking.enabled),
        address=options.address,
        dashboard=options.dashboard,
        user_code=user_code,
        limited_space=limited_space,
        exit_on_second_interrupt=options.exit_on_second_interrupt,
    )
    try:
        outcome = SearchSession(request).run()
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(
            f"interrupted; resume with: {search.paths.resume_command}"
        ) from error
    search = reload(search)
    update_suspects(search, data)
    return FinishedRun(search, outcome)


def _sampler_factory(
    search: StoredSearch, limited_space: LimitedSpace | None
) -> TrialSourceFactory:
    from handsigns.results.warm_start import read_warm_start

    warm_start = read_warm_start(search.paths.warm_start)

    def make_source(config: SearchConfig, journal: Journal) -> TrialSource:
        from handsigns.policy.sampler import Sampler  # imports Optuna while Ray starts

        return Sampler.from_journal(config, journal, warm_start, limited_space)

    return make_source
