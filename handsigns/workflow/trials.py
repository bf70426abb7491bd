"""Run the trials of a search, new or resumed: the one place that starts the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.workflow.searches import reloaded

if TYPE_CHECKING:
    from handsigns.config.search import StudyConfig
    from handsigns.config.user_code import OwnCode
    from handsigns.data.dataset import DataSet
    from handsigns.policy.source import TrialSource
    from handsigns.results.journal import Journal
    from handsigns.results.store import StoredSearch
    from handsigns.tuning.session import SearchOutcome, SourceFactory


@dataclass(frozen=True)
class RunOptions:
    """Where trials run, and how the user stops them.

    Attributes:
        address: of a Ray cluster; None starts a Ray on this machine.
        dashboard: whether to start Ray's dashboard, on loopback.
        exit_at_second_interrupt: end the process at the second Ctrl-C, rather than raise
            KeyboardInterrupt.
    """

    address: str | None = None
    dashboard: bool = False
    exit_at_second_interrupt: bool = False


@dataclass(frozen=True)
class FinishedRun:
    """A session of a search that has ended.

    Attributes:
        search: read again from its files.
        outcome: how the session ended.
        hint: what the user can do next; empty for nothing in particular.
    """

    search: StoredSearch
    outcome: SearchOutcome
    hint: str = ""


def run_trials(
    search: StoredSearch,
    study: StudyConfig,
    data: DataSet,
    user_code: OwnCode | None,
    options: RunOptions,
) -> FinishedRun:
    """Run a search, which this process holds, until its budget is used up or the user stops it.

    Args:
        search: new, or one to be resumed.
        study: its settings from now on.
        data: its data from now on.
        user_code: the modules that trials may run.
        options: where to run.

    Raises:
        ResourceError, ResultsError: see `SearchSession.run`.
        KeyboardInterrupt: the user stopped it before the first trial, or a second time.
    """
    from handsigns.tuning.session import SearchRequest, SearchSession

    request = SearchRequest(
        study,
        data,
        search.paths,
        _sampler_of(search),
        trackers=("optuna", *study.tracking.tools),
        address=options.address,
        dashboard=options.dashboard,
        user_code=user_code,
        exit_at_second_interrupt=options.exit_at_second_interrupt,
    )
    try:
        outcome = SearchSession(request).run()
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"interrupted; resume with: {search.paths.go_on}") from error
    return FinishedRun(reloaded(search), outcome)


def _sampler_of(search: StoredSearch) -> SourceFactory:
    from handsigns.results.warm_start import read_warm_start

    warm_start = read_warm_start(search.paths.warm_start)

    def source(study: StudyConfig, journal: Journal) -> TrialSource:
        from handsigns.policy.sampler import Sampler  # loads Optuna, while Ray starts

        return Sampler.recalled(study, journal, warm_start)

    return source
