"""The steps of a user's way that the command line and the Python interface share."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.format import format_duration
from handsigns.console.progress import progress
from handsigns.console.sanitize import printable
from handsigns.errors import DataError, ResourceError, ResultsError
from handsigns.io.storage import unusable
from handsigns.workflow.user_code import own_code_of_space, own_code_of_trial, try_out

if TYPE_CHECKING:
    from handsigns.config.search import StudyConfig
    from handsigns.config.user_code import OwnCode
    from handsigns.data.dataset import DataSet
    from handsigns.policy.source import TrialSource
    from handsigns.results.journal import Journal
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import DataRecord, StoredSearch
    from handsigns.results.sync import Mirror
    from handsigns.results.trial import TrialRecord
    from handsigns.results.warm_start import WarmStart
    from handsigns.tuning.session import SearchOutcome
    from handsigns.winner.model import Chosen, ModelCard
    from handsigns.winner.retrain import Retraining

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
"""What can be set by a name of its own, with its key in a search space."""


def given(values: Mapping[str, object]) -> dict[str, object]:
    """Those of the `SETTINGS` that have a value, by their key in a search space."""
    chosen = {key: values.get(name) for name, key in SETTINGS.items()}
    return {key: value for key, value in chosen.items() if value is not None}


@dataclass(frozen=True)
class NewSearch:
    """A search that could begin."""

    paths: SearchPaths
    study: StudyConfig
    data: DataSet
    record: DataRecord
    warm_start: WarmStart | None
    own: OwnCode | None


def choose_study(
    space: str, overrides: Sequence[str], values: Mapping[str, object]
) -> tuple[StudyConfig, Path]:
    """The search space of a file or of the menu, with what was set beside it; and its file.

    Raises:
        ConfigError: there is none of that name, something in it is wrong, or a tool to track it
            with is not installed.
    """
    from handsigns.config.presets import resolve_space_path

    path = resolve_space_path(space)  # a misspelt name is told before more is loaded

    from handsigns.config.load import load_study
    from handsigns.tracking.registry import refuse_missing

    study = load_study(path, overrides, given(values))
    refuse_missing(study.tracking.tools)
    return study, path


def plan_search(
    study: StudyConfig,
    space: Path,
    paths: SearchPaths,
    *,
    folder: Path | None,
    size: int,
    skip_bad: bool,
    warm_start: str | None,
    own_code: bool,
) -> NewSearch:
    """Open the data and tell the user what will be searched, on what.

    Args:
        study, space: the search, resolved, and the file of its space.
        paths: where its results will be.
        folder, size, skip_bad: the data.
        warm_start: name of an earlier search to begin with.
        own_code: whether the user's own functions that the space names may be run; they are tried.

    Raises:
        ConfigError: they may not, or one fails.
        DataError: the data cannot be used.
        ResultsError, ConfigError: the search to begin with cannot be read.
    """
    from handsigns.results.store import DataRecord

    own = own_code_of_space(study, space, allowed=own_code)
    data = open_data(folder, size, skip_bad)
    record = DataRecord(data.info, str(folder.resolve()) if folder else None, size, skip_bad)
    _describe(study, data)
    try_out(study, own, data)
    known = _warm_start(warm_start, paths.root.parent, study, data) if warm_start else None
    return NewSearch(paths, study, data, record, known, own)


def bring_here(results: Path, name: str, storage: str | None = None) -> None:
    """Have a search's folder as its copy in a storage is, where that is newer.

    Args:
        results, name: the search, which need not be here yet where a storage is named.
        storage: where a copy of it lies; None: where the folder remembers one, if it does.

    Raises:
        ConfigError: the storage can be none.
        ResultsError: there is no such search, or folder and copy were both changed.
    """
    from handsigns.results.paths import SearchPaths

    paths = SearchPaths.named(results, name)
    if storage is None and not paths.copied.exists():
        return

    from handsigns.results.sync import known_mirror, named_mirror

    known = known_mirror(paths)
    copy = named_mirror(paths, storage) if storage is not None else known
    if copy is None:
        return
    if known is not None and copy.place != known.place:
        raise ResultsError(
            f"{paths.root} is a copy of {known.place}, not of {copy.place}; to have that one, "
            f"name another folder (--results)"
        )
    try:
        with progress(f"looking into {copy.place}") as report:
            report(0, 1)
            copy.fetch()
            report(1, 1)
    except OSError as error:
        problem = unusable(copy.place.address, error)
        if known is None:
            raise ResultsError(problem) from error
        print(f"note: what is here may be old. {problem}", file=sys.stderr)


def take_there(results: Path, name: str) -> None:
    """Bring a search's copy in its storage, where it has one, up to what is here."""
    from handsigns.results.paths import SearchPaths

    paths = SearchPaths.named(results, name)
    if not paths.copied.exists():
        return

    from handsigns.results.store import holder
    from handsigns.results.sync import known_mirror

    mirror = known_mirror(paths)
    if mirror is None or holder(paths):  # who runs it keeps the copy up
        return
    try:
        mirror.push()
    except (OSError, ResultsError) as error:
        print(
            f"note: the copy in {mirror.place} is behind: {printable(str(error))}\nit is brought "
            f"up to date by the next command on {name}",
            file=sys.stderr,
        )


def refuse_elsewhere(stored: StoredSearch) -> None:
    """See that no other machine runs a search, before anything of it is changed.

    Raises:
        ResultsError: one does.
        ResourceError: its storage cannot be read.
    """
    from handsigns.results.sync import known_mirror

    mirror = known_mirror(stored.paths)
    if mirror is not None:
        with _usable(mirror):
            mirror.refuse_running()


def refuse_taken(paths: SearchPaths, storage: str | None) -> None:
    """See that a name is free for a new search, here and in its storage.

    Raises:
        ResultsError: it is not.
        ResourceError: the storage cannot be read.
    """
    from handsigns.results.store import refuse_taken as refuse_here
    from handsigns.results.sync import named_mirror

    refuse_here(paths)
    mirror = named_mirror(paths, storage) if storage is not None else None
    if mirror is not None:
        with _usable(mirror):
            mirror.refuse_taken()


@contextlib.contextmanager
def _usable(mirror: Mirror) -> Iterator[None]:
    """Say what to do where the storage of a copy cannot be read."""
    try:
        yield
    except OSError as error:
        raise ResourceError(unusable(mirror.place.address, error)) from error


@contextlib.contextmanager
def begun(new: NewSearch) -> Iterator[StoredSearch]:
    """The search's files, made and held; gone again if the machine cannot run a trial of it.

    Raises:
        ResultsError: the name is taken.
        ResourceError: no trial can be run, or the storage cannot be used.
    """
    from handsigns.results.store import begin_search, discard, held

    refuse_taken(new.paths, new.study.storage)
    stored = begin_search(new.paths, new.study, new.record, new.warm_start, new.own)
    try:
        with held(new.paths):
            yield stored
    except ResourceError:
        discard(new.paths)
        raise


def new_name(space: str) -> str:
    """A name for a search where the user gave none."""
    return f"{Path(space).stem}-{time.strftime('%Y%m%d-%H%M%S')}"


def open_named(results: Path, name: str) -> StoredSearch:
    """A search by its name.

    Raises:
        ResultsError, ConfigError: there is none, or its files are damaged.
    """
    from handsigns.results.paths import SearchPaths

    paths = SearchPaths.existing(results, name)  # told at once, too

    from handsigns.results.store import open_search

    return open_search(paths)


def open_data(folder: Path | None, size: int, skip_bad: bool) -> DataSet:
    """Open a data set, showing progress; None draws hands."""
    from handsigns.data.dataset import open_data as open_set

    with progress("drawing hands" if folder is None else "reading pictures") as report:
        return open_set(folder, size=size, skip_bad=skip_bad, progress=report)


def open_recorded(stored: StoredSearch, moved: Path | None) -> DataSet:
    """The data from the place where the search had them, or from where they are now."""
    record = stored.data
    folder = moved or (Path(record.folder) if record.folder else None)
    return open_data(folder, record.size, record.skip_bad)


def recorded_data(
    stored: StoredSearch, moved: Path | None, fingerprint: str | None = None
) -> DataSet:
    """The data of the search, or those of the given fingerprint, known to be the same by it.

    Raises:
        DataError: they have changed.
    """
    data = open_recorded(stored, moved)
    wanted = fingerprint or stored.data.info.fingerprint
    if data.info.fingerprint != wanted:
        raise DataError(
            f"{other_data(stored, data, wanted)}; put the earlier pictures back, say where they "
            f"are (--data DIR), or search anew"
        )
    return data


def other_data(stored: StoredSearch, data: DataSet, wanted: str) -> str:
    """What is wrong where the data of a search have changed."""
    return (
        f"the data in {data.info.source} are not those of {stored.paths.name}: fingerprint "
        f"{data.info.fingerprint[:12]} instead of {wanted[:12]}"
    )


def given_again(values: Mapping[str, object]) -> dict[str, object]:
    """Those settings of a re-evaluation that have a value."""
    names = ("top", "seeds", "folds", "time_budget")
    return {name: values[name] for name in names if values.get(name) is not None}


def reevaluate(
    stored: StoredSearch,
    moved: Path | None,
    wanted: Mapping[str, object],
    *,
    address: str | None,
    own_code: bool,
    exit_at_second_interrupt: bool = False,
) -> SearchOutcome | None:
    """Train the best trials again, showing how it goes; None where nothing was left to be trained.

    Args:
        wanted: settings of `Reevaluation` that the search's own do not have.

    Raises:
        ConfigError: a setting cannot be, or own code may not be run.
        ResultsError: no trial has a result, or the search is being run.
        DataError: the data have changed.
        ResourceError: see `run_search`.
    """
    from handsigns.config.load import reevaluation
    from handsigns.results.reevaluation import fitting_folds
    from handsigns.results.store import held
    from handsigns.tuning.reevaluation import plan_reevaluation
    from handsigns.tuning.reevaluation import reevaluate as run

    asked = reevaluation(stored.study, wanted)
    folds = fitting_folds(asked.folds, stored.data.info)
    if folds != asked.folds and "folds" not in wanted:
        print(f"\nnote: {folds} folds, not {asked.folds}: the rarest class has too few pictures")
        asked = asked.model_copy(update={"folds": folds})
    plan = plan_reevaluation(stored, asked)
    own = _code_of(stored, stored.trial(plan.trial_ids[0]), allowed=own_code)
    data = recorded_data(stored, moved)
    many = "best trial" if len(plan.trial_ids) == 1 else f"best {len(plan.trial_ids)} trials"
    print(f"\nre-evaluation: the {many}, {len(plan.runs)} fresh runs each", flush=True)
    with held(stored.paths):
        return run(
            stored,
            data,
            plan,
            asked.time_budget,
            address,
            own=own,
            exit_at_second_interrupt=exit_at_second_interrupt,
        )


def retrain_winner(
    stored: StoredSearch,
    moved: Path | None,
    trial: str | None,
    seeds: int,
    *,
    ensemble: bool,
    own_code: bool,
) -> tuple[ModelCard, list[Retraining]]:
    """Train a trial's configuration again (None: the best's), showing progress.

    Raises:
        ResultsError: there is no such trial, every seed diverged, or the search is being run.
        DataError: the data have changed.
    """
    from handsigns.results.store import held
    from handsigns.winner.retrain import retrain

    record = stored.trial(trial)
    own = _code_of(stored, record, allowed=own_code)
    data = recorded_data(stored, moved)
    epochs = stored.study.budget.max_epochs
    what = f"retraining trial {record.trial_id} on train and validation split"
    with held(stored.paths), progress(what) as report:
        return retrain(
            stored.study,
            data,
            stored.paths,
            record,
            chosen=_chosen(stored, trial),
            seeds=seeds,
            ensemble=ensemble,
            progress=lambda n, seeds, m: report(n * epochs + m.epoch, seeds * epochs),
            own=own,
        )


def _code_of(stored: StoredSearch, record: TrialRecord, *, allowed: bool) -> OwnCode | None:
    """The user's own code that a trial of the search ran."""
    sessions = [stored.journal.sessions[number] for number in record.sessions]
    return own_code_of_trial(stored, record, sessions, allowed=allowed)


def _chosen(stored: StoredSearch, trial: str | None) -> Chosen:
    if trial is not None:
        return "by hand"
    again = any(finalist.steady for finalist in stored.finalists)
    return "by re-evaluation" if again else "by rank"


def _warm_start(name: str, results: Path, study: StudyConfig, data: DataSet) -> WarmStart:
    from handsigns.results.warm_start import make_warm_start

    earlier = open_named(results, name)
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
    """The search in a few lines, and what the user should know of the data."""
    if study.description:
        print(printable(study.description.strip()))
    counts = ", ".join(f"{name} {sum(count)}" for name, count in data.info.counts.items())
    print(f"data: {printable(data.info.source)}: {len(data.info.classes)} classes; {counts}")
    for note in data.info.notes:
        print(f"note: {note}")
    size = study.space.size()
    many = "a continuous space" if size is None else f"{size} configurations"
    epochs = f"up to {study.budget.max_epochs} epochs each"
    within = study.budget.time_budget
    limit = f", within {format_duration(within)}" if within else ""
    print(f"search: {study.budget.trials} trials in {many}, {epochs}{limit}", flush=True)


def run_search(
    study: StudyConfig,
    data: DataSet,
    paths: SearchPaths,
    address: str | None = None,
    warm_start: WarmStart | None = None,
    dashboard: bool = False,
    own: OwnCode | None = None,
    exit_at_second_interrupt: bool = False,
) -> SearchOutcome:
    """Run a search, or resume one."""
    from handsigns.tuning.session import SearchRequest, SearchSession

    def source(study: StudyConfig, journal: Journal) -> TrialSource:
        from handsigns.policy.sampler import Sampler  # loads Optuna, while Ray starts

        return Sampler.recalled(study, journal, warm_start)

    request = SearchRequest(
        study,
        data,
        paths,
        source,
        trackers=("optuna", *study.tracking.tools),
        address=address,
        dashboard=dashboard,
        user_code=own,
        exit_at_second_interrupt=exit_at_second_interrupt,
    )
    return SearchSession(request).run()
