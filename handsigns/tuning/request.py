"""Request for a session of a search, and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.config.search import SearchConfig
from handsigns.config.user_code import UserCode
from handsigns.data.dataset import DataSet
from handsigns.monitor.display import DisplayFactory
from handsigns.monitor.live import SearchDisplay
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.trial import TrialRecord

if TYPE_CHECKING:
    from handsigns.policy.limited_space import LimitedSpace
    from handsigns.policy.source import TrialSource

TrialSourceFactory = Callable[[SearchConfig, Journal], "TrialSource"]
"""Factory of a search's trial source, with the state after the journal's events."""


@dataclass(frozen=True)
class SearchResult:
    """Result of a search session.

    Attributes:
        records: all trials, in the order in which they started.
        reason: why the session ended, for the user.
        interrupted: whether the user interrupted it; the search can then be resumed.
    """

    records: list[TrialRecord]
    reason: str
    interrupted: bool


@dataclass(frozen=True)
class SearchRequest:
    """Request to run a search, or to resume one.

    Attributes:
        config: resolved configuration of the search.
        data: data set, of which the train and val splits are used; the test split is not touched.
        paths: paths of the results, where a journal may already hold trials.
        make_source: factory of the trial source.
        validate: whether trials are validated after each epoch; otherwise they train on the train
            and validation splits combined, share the machine's CPUs, and cannot be ranked: the
            last checkpoint of each is kept, and no tables are written.
        make_display: factory of the progress display.
        trackers: names of the experiment trackers to log to.
        address: address of a Ray cluster; None searches on this machine.
        dashboard: whether to start Ray's dashboard, on loopback.
        user_code: trusted user code that trials may run.
        limited_space: the part of the space that is within the limits; None if all of it is used.
        exit_on_second_interrupt: whether to exit the process at a second interrupt, without waiting
            for a graceful end; else KeyboardInterrupt is raised.
    """

    config: SearchConfig
    data: DataSet
    paths: SearchPaths
    make_source: TrialSourceFactory
    validate: bool = True
    make_display: DisplayFactory = SearchDisplay
    trackers: tuple[str, ...] = ()
    address: str | None = None
    dashboard: bool = False
    user_code: UserCode | None = None
    limited_space: LimitedSpace | None = None
    exit_on_second_interrupt: bool = False
