"""Start of a new search: load its space and data, create its files, run its trials."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.format import format_duration, pluralize
from handsigns.console.sanitize import note as print_note
from handsigns.console.sanitize import printable
from handsigns.errors import ResourceError
from handsigns.results.paths import SearchPaths
from handsigns.workflow.check import print_check
from handsigns.workflow.data import check_size, open_data
from handsigns.workflow.limits import limit_space, print_limits
from handsigns.workflow.searches import open_by_name
from handsigns.workflow.sync import ensure_name_free
from handsigns.workflow.trackers import tracking_overrides
from handsigns.workflow.trials import FinishedRun, RunOptions, run_trials
from handsigns.workflow.user_code import load_user_code_for_space, smoke_test_networks

if TYPE_CHECKING:
    from handsigns.config.search import SearchConfig
    from handsigns.config.user_code import UserCode
    from handsigns.data.dataset import DataSet
    from handsigns.policy.limited_space import LimitedSpace
    from handsigns.results.networks import LatencyTable
    from handsigns.results.store import DataRecord
    from handsigns.results.warm_start import WarmStart

SETTING_KEYS = {
    "group_by": "data.group_by",
    "trials": "budget.trials",
    "max_epochs": "budget.max_epochs",
    "time_budget": "budget.time_budget",
    "target": "budget.target",
    "seed": "seed",
    "cpus_per_trial": "resources.cpus_per_trial",
    "gpus_per_trial": "resources.gpus_per_trial",
    "storage": "storage",
}
"""Settings with a dedicated option: their keys in the search space, by option name."""


@dataclass(frozen=True)
class NewSearchRequest:
    """Request for a new search.

    Attributes:
        space: search-space file, or the name of a preset.
        settings: values of `SETTING_KEYS` that override the space's; None if not given.
        results: folder of all searches.
        overrides: any other value of the space, each as ``dotted.key=value``.
        track: experiment trackers, see `tracking_overrides`.
        name: name of the search; None: name of the space with a timestamp.
        data: folder, zip or tar of images; None: synthetic hands.
        size: height and width of the images in pixels.
        skip_bad: skip files that cannot be used.
        relabel, exclude: CSV files of images to relabel or leave out, see `read_corrections`.
        warm_start: name of an earlier search to start from.
        trust_user_code: whether the functions that the space names may be run.

    Raises:
        ConfigError: the size is out of bounds.
    """

    space: str
    settings: Mapping[str, object]
    results: Path
    overrides: Sequence[str] = ()
    track: str | None = None
    name: str | None = None
    data: Path | None = None
    size: int = 64
    skip_bad: bool = False
    relabel: Sequence[Path] = ()
    exclude: Sequence[Path] = ()
    warm_start: str | None = None
    trust_user_code: bool = False

    def __post_init__(self) -> None:
        check_size(self.size)

    @property
    def resolved_name(self) -> str:
        """The requested name, or that of the space with a timestamp."""
        return self.name or f"{Path(self.space).stem}-{time.strftime('%Y%m%d-%H%M%S')}"


@dataclass(frozen=True)
class PlannedSearch:
    """Validated search that is ready to start."""

    paths: SearchPaths
    config: SearchConfig
    data: DataSet
    record: DataRecord
    warm_start: WarmStart | None
    user_code: UserCode | None
    limited: tuple[LimitedSpace, LatencyTable] | None


def explicit_settings(values: Mapping[str, object]) -> dict[str, object]:
    """Return the `SETTING_KEYS` that have a value, by their key in the search space."""
    return {key: values[name] for name, key in SETTING_KEYS.items() if values.get(name) is not None}


def load_space(request: NewSearchRequest) -> tuple[SearchConfig, Path]:
    """Load the requested search space with all overrides; return it and its file.

    Raises:
        ConfigError: the space does not exist or is invalid, or a tracker is not installed.
    """
    from handsigns.config.presets import resolve_search_space

    path = resolve_search_space(request.space)  # fails before anything heavy is imported

    from handsigns.config.load import load_search_config
    from handsigns.tracking.registry import ensure_installed

    overrides = [*request.overrides, *tracking_overrides(request.track)]
    config = load_search_config(path, overrides, explicit_settings(request.settings), print_note)
    ensure_installed(config.tracking.enabled)
    return config, path


def plan_search(request: NewSearchRequest, *, dry_run: bool = False) -> PlannedSearch:
    """Validate everything a search needs, and print a summary of its space and data.

    Args:
        request: the request for the search.
        dry_run: allow a name that is taken, as nothing will be written.

    Raises:
        ConfigError: the space is invalid, nothing of it is within its limits, or its user code is
            not trusted or fails.
        DataError: the data cannot be used, or corrections do not fit them.
        ResultsError: the name is taken, or the search to warm-start from cannot be read.
    """
    config, space = load_space(request)
    paths = SearchPaths.for_name(request.results, request.resolved_name)
    if not dry_run:
        ensure_name_free(paths)

    from handsigns.data.corrections import read_corrections
    from handsigns.data.folders import absolute_path
    from handsigns.results.store import DataRecord

    user_code = load_user_code_for_space(config, space, allowed=request.trust_user_code)
    corrections = read_corrections(request.relabel, request.exclude)
    data = open_data(
        request.data, request.size, request.skip_bad, config.data.group_by, corrections
    )
    folder = str(absolute_path(request.data)) if request.data else None
    record = DataRecord(data.info, folder, request.size, request.skip_bad, corrections)
    _print_summary(config, data)
    if request.data and data.check:
        print_check(request.data, data.check, size=request.size, group_by=config.data.group_by)
    smoke_test_networks(config, user_code, data)
    limited = limit_space(config, data.info, user_code)
    if limited is not None:
        print_limits(config, limited[0])
    warm_start = _warm_start(request, config, data)
    return PlannedSearch(paths, config, data, record, warm_start, user_code, limited)


def start_search(new: PlannedSearch, options: RunOptions) -> FinishedRun:
    """Create the files of a new search and run it; remove them if no trial can run.

    Raises:
        ResultsError: the name is taken, or results cannot be written.
        ResourceError: no trial can run, or the storage cannot be used.
    """
    from handsigns.results.networks import write_latency_table
    from handsigns.results.search_lock import search_lock
    from handsigns.results.store import create_search, discard_unstarted

    ensure_name_free(new.paths, new.config.storage)
    search = create_search(
        new.paths, new.config, new.record, new.warm_start, new.user_code, new.data.check
    )
    limited_space, latencies = new.limited or (None, {})
    if latencies:
        write_latency_table(new.paths.latencies, latencies)
    try:
        with search_lock(new.paths):
            return run_trials(search, new.config, new.data, new.user_code, limited_space, options)
    except ResourceError:
        discard_unstarted(new.paths)
        raise


def print_plan(config: SearchConfig, address: str | None) -> None:
    """Print the resolved search, and the resources it would use unless they are a cluster's."""
    from handsigns.config.load import dump_search_config

    where = _planned_resources(config) if address is None else f"on the cluster at {address}"
    print(f"would run {where}\n\n{dump_search_config(config)}")


def _planned_resources(config: SearchConfig) -> str:
    from handsigns.cluster.nodes import local_node
    from handsigns.cluster.resources import allocate

    allocation = allocate(config.resources, [local_node()])
    measured = allocation.gpus_per_trial and config.resources.gpus_per_trial == "auto"
    later = "; the number of trials per GPU is measured at the start" if measured else ""
    return f"{allocation}{later}"


def _warm_start(request: NewSearchRequest, config: SearchConfig, data: DataSet) -> WarmStart | None:
    if request.warm_start is None:
        return None

    from handsigns.results.warm_start import make_warm_start

    earlier = open_by_name(request.results, request.warm_start)
    warm_start = make_warm_start(
        config,
        data.info.fingerprint,
        earlier.config,
        earlier.data.info.fingerprint,
        earlier.journal.records,
        earlier.paths.name,
    )
    for note in warm_start.notes:
        print(f"warm start: {note}", flush=True)
    return warm_start


def _print_summary(config: SearchConfig, data: DataSet) -> None:
    """Print a summary of the search, and the notes on its data."""
    from handsigns.data.imbalance import imbalance_note

    if config.description:
        print(printable(config.description.strip()))
    counts = ", ".join(f"{name} {sum(count)}" for name, count in data.info.counts.items())
    classes = pluralize(len(data.info.classes), "class", "classes")
    print(f"data: {printable(data.info.source)}: {classes}; {counts}")
    for note in (*data.info.notes, *filter(None, [imbalance_note(data.info, config.objective)])):
        print(f"note: {note}")
    if config.searcher.needs_completed_trials and config.scheduler.name != "none":
        print(
            f"note: {config.searcher.name} learns only from trials trained to the end, of which "
            f"early stopping leaves few; --set scheduler.name=none trains all to the end"
        )
    size = config.space.size()
    many = "a continuous space" if size is None else pluralize(size, "configuration")
    epochs = f"up to {pluralize(config.budget.max_epochs, 'epoch')} each"
    within = config.budget.time_budget
    limit = f", within {format_duration(within)}" if within else ""
    print(
        f"search: {pluralize(config.budget.trials, 'trial')} in {many}, {epochs}{limit}", flush=True
    )
