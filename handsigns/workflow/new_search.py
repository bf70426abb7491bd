"""Start a new search: choose its space, open its data, create its files, run its trials."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.format import counted, format_duration
from handsigns.console.sanitize import note as print_note
from handsigns.console.sanitize import printable
from handsigns.errors import ResourceError
from handsigns.results.paths import SearchPaths
from handsigns.workflow.data import open_data
from handsigns.workflow.searches import open_named
from handsigns.workflow.sync import ensure_name_free
from handsigns.workflow.trackers import tracking_overrides
from handsigns.workflow.trials import FinishedRun, RunOptions, run_trials
from handsigns.workflow.user_code import try_user_code, user_code_of_space

if TYPE_CHECKING:
    from handsigns.config.search import StudyConfig
    from handsigns.config.user_code import OwnCode
    from handsigns.data.dataset import DataSet
    from handsigns.results.store import DataRecord
    from handsigns.results.warm_start import WarmStart

SETTINGS = {
    "trials": "budget.trials",
    "max_epochs": "budget.max_epochs",
    "time_budget": "budget.time_budget",
    "target": "budget.target",
    "seed": "seed",
    "cpus_per_trial": "resources.cpus_per_trial",
    "gpus_per_trial": "resources.gpus_per_trial",
    "storage": "storage",
}
"""Settings with an option of their own, by its name, with their keys in a search space."""


@dataclass(frozen=True)
class NewSearchRequest:
    """What the user asks for in a new search.

    Attributes:
        space: search-space file, or the name of a preset.
        settings: values of `SETTINGS` that override the space's; None where not given.
        overrides: any other value of the space, each as ``dotted.key=value``.
        track: experiment trackers, as of `tracking_overrides`.
        results: folder of all searches.
        name: of the search; None makes one from the space's, with the time.
        data: folder of photographs; None draws synthetic hands.
        size: height and width of the images in pixels.
        skip_bad: skip files that cannot be used.
        warm_start: name of an earlier search to start from.
        trust_user_code: whether the functions that the space names may be run.
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
    warm_start: str | None = None
    trust_user_code: bool = False

    @property
    def new_name(self) -> str:
        """The name asked for, or one from the space's with the time, another each second."""
        return self.name or f"{Path(self.space).stem}-{time.strftime('%Y%m%d-%H%M%S')}"


@dataclass(frozen=True)
class NewSearch:
    """A search that is ready to start: its settings and data are known to be usable."""

    paths: SearchPaths
    study: StudyConfig
    data: DataSet
    record: DataRecord
    warm_start: WarmStart | None
    user_code: OwnCode | None


def given_settings(values: Mapping[str, object]) -> dict[str, object]:
    """Return those of the `SETTINGS` that have a value, by their key in a search space."""
    chosen = {key: values.get(name) for name, key in SETTINGS.items()}
    return {key: value for key, value in chosen.items() if value is not None}


def choose_space(request: NewSearchRequest) -> tuple[StudyConfig, Path]:
    """Load the search space that is asked for, with all overrides; return it and its file.

    Raises:
        ConfigError: there is none of that name, something in it is wrong, or a tracker is not
            installed.
    """
    from handsigns.config.presets import resolve_space_path

    path = resolve_space_path(request.space)  # a misspelt name is reported before more is loaded

    from handsigns.config.load import load_study
    from handsigns.tracking.registry import refuse_missing

    overrides = [*request.overrides, *tracking_overrides(request.track)]
    study = load_study(path, overrides, given_settings(request.settings), print_note)
    refuse_missing(study.tracking.tools)
    return study, path


def plan_search(request: NewSearchRequest, *, dry_run: bool = False) -> NewSearch:
    """Check all that a search needs, and print what will be searched, on what data.

    Args:
        request: what the user asks for.
        dry_run: whether the name may be taken, as nothing will be written.

    Raises:
        ConfigError: the space cannot be used, or its user code is not trusted or fails.
        DataError: the data cannot be used.
        ResultsError: the name is taken, or the search to start from cannot be read.
    """
    study, space = choose_space(request)
    paths = SearchPaths.named(request.results, request.new_name)
    if not dry_run:
        ensure_name_free(paths)

    from handsigns.results.store import DataRecord

    user_code = user_code_of_space(study, space, allowed=request.trust_user_code)
    data = open_data(request.data, request.size, request.skip_bad)
    folder = str(request.data.resolve()) if request.data else None
    record = DataRecord(data.info, folder, request.size, request.skip_bad)
    _describe(study, data)
    try_user_code(study, user_code, data)
    warm_start = _warm_start(request, study, data)
    return NewSearch(paths, study, data, record, warm_start, user_code)


def start_search(new: NewSearch, options: RunOptions) -> FinishedRun:
    """Create the files of a new search and run it; they are removed where no trial can run.

    Raises:
        ResultsError: the name is taken, or results cannot be written.
        ResourceError: no trial can run, or the storage cannot be used.
    """
    from handsigns.results.store import begin_search, discard, held

    ensure_name_free(new.paths, new.study.storage)
    search = begin_search(new.paths, new.study, new.record, new.warm_start, new.user_code)
    try:
        with held(new.paths):
            return run_trials(search, new.study, new.data, new.user_code, options)
    except ResourceError:
        discard(new.paths)
        raise


def print_plan(study: StudyConfig) -> None:
    """Print what would be searched, and on what this machine would run it."""
    from handsigns.cluster.resources import share_out, this_machine
    from handsigns.config.load import dump_study

    slots = share_out(study.resources, [this_machine()])
    measured = slots.gpus and study.resources.gpus_per_trial == "auto"
    later = "; how many share a GPU is measured as the search begins" if measured else ""
    print(f"would run {slots}{later}\n\n{dump_study(study)}")


def _warm_start(request: NewSearchRequest, study: StudyConfig, data: DataSet) -> WarmStart | None:
    if request.warm_start is None:
        return None

    from handsigns.results.warm_start import make_warm_start

    earlier = open_named(request.results, request.warm_start)
    warm_start = make_warm_start(
        study,
        data.info.fingerprint,
        earlier.study,
        earlier.data.info.fingerprint,
        earlier.journal.records,
        earlier.paths.name,
    )
    for note in warm_start.notes:
        print(f"warm start: {note}", flush=True)
    return warm_start


def _describe(study: StudyConfig, data: DataSet) -> None:
    """Print the search in a few lines, and the notes on its data."""
    if study.description:
        print(printable(study.description.strip()))
    counts = ", ".join(f"{name} {sum(count)}" for name, count in data.info.counts.items())
    classes = counted(len(data.info.classes), "class", "classes")
    print(f"data: {printable(data.info.source)}: {classes}; {counts}")
    for note in data.info.notes:
        print(f"note: {note}")
    size = study.space.size()
    many = "a continuous space" if size is None else counted(size, "configuration")
    epochs = f"up to {counted(study.budget.max_epochs, 'epoch')} each"
    within = study.budget.time_budget
    limit = f", within {format_duration(within)}" if within else ""
    print(f"search: {counted(study.budget.trials, 'trial')} in {many}, {epochs}{limit}", flush=True)
