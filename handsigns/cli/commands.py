"""What each command does, told in the words of the layers below."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.cli.own_code import (
    own_code_of_space,
    own_code_of_trial,
    own_code_to_go_on,
    try_out,
)
from handsigns.cli.progress import progress
from handsigns.cli.tracking import (
    publish_winner,
    refuse_missing_tools,
    show_tools,
    track_overrides,
)
from handsigns.config.duration import format_duration
from handsigns.errors import DataError, HandsignsError, ResultsError
from handsigns.text import printable

if TYPE_CHECKING:
    from handsigns.config.own_code import OwnCode
    from handsigns.config.study import StudyConfig
    from handsigns.data.open import DataSet
    from handsigns.search.store import DataRecord, StoredSearch
    from handsigns.search.warm_start import WarmStart

FAILED = 1
INTERRUPTED = 130


def run(options: Namespace) -> int:
    """Search, leaderboard, retrain, test."""
    return search(options) or (0 if options.dry_run else _finish(options))


def search(options: Namespace) -> int:
    """Search and print the leaderboard."""
    study, space = _study(options)  # before the imports, so that an error in it comes at once
    refuse_missing_tools(study)

    from handsigns.search.paths import SearchPaths
    from handsigns.search.store import DataRecord, refuse_taken

    options.name = options.name or _new_name(options.space)
    paths = SearchPaths.named(options.results, options.name)
    if not options.dry_run:
        refuse_taken(paths)
    own = own_code_of_space(study, space, allowed=options.own_code)
    data = _open_data(options.data, options.size, options.skip_bad)
    folder = str(options.data.resolve()) if options.data else None
    record = DataRecord(data.info, folder, options.size, options.skip_bad)
    _describe(study, data)
    try_out(study, own, data)
    warm_start = _warm_start(options, study, data) if options.warm_start else None
    if options.dry_run:
        return _show_plan(study)
    return _begin(options, study, data, record, warm_start, own)


def resume(options: Namespace) -> int:
    """Go on with a search."""
    stored = _open(options)

    from handsigns.config.load import dump_study, load_study
    from handsigns.config.own_code import keep
    from handsigns.files import write_text
    from handsigns.search.store import held, record_data

    tracked = track_overrides(options.track)
    study = load_study(stored.paths.study, tracked, options=_budget(options))
    refuse_missing_tools(study)
    done = _done(study, stored)
    if done is not None:
        return _conclude(options, study, stored, *done)
    own = own_code_to_go_on(stored, allowed=options.own_code)
    with held(stored.paths):
        data = _open_recorded(stored, options.data)
        _refuse_changes(stored, data, options, own)
        try_out(study, own, data)
        keep(stored.paths.own_code, own)
        record_data(stored, data.info, options.data)
        write_text(stored.paths.study, dump_study(study))
        return _search_and_show(options, study, data, stored, own)


def list_searches(options: Namespace) -> int:
    """All searches in the results folder."""
    from handsigns.cli.show import show_searches
    from handsigns.search.paths import SearchPaths
    from handsigns.search.store import open_search

    found = SearchPaths.all(options.results)
    if not found:
        print(f"no search in {options.results} yet; begin one: python tune_main.py run")
        return 0
    searches: list[StoredSearch | tuple[str, HandsignsError]] = []
    for paths in found:
        try:
            searches.append(open_search(paths))
        except HandsignsError as error:
            searches.append((paths.name, error))
    show_searches(searches)
    return 0


def leaderboard(options: Namespace) -> int:
    """A search's trials, best first."""
    stored = _open(options)

    from handsigns.report.leaderboard import write_leaderboard

    write_leaderboard(stored, options.top, options.format, sys.stdout)
    return 0


def retrain(options: Namespace) -> int:
    """Train the best configuration again."""
    stored = _open(options)

    from handsigns.cli.show import show_retraining
    from handsigns.search.store import held
    from handsigns.winner.retrain import retrain as train_again

    record = stored.trial(options.trial)
    own = own_code_of_trial(stored, record, allowed=options.own_code)
    data = _recorded_data(stored, options.data)
    epochs = stored.study.budget.max_epochs
    what = f"retraining trial {record.trial_id} on train and validation split"
    with held(stored.paths), progress(what) as report:
        card, runs = train_again(
            stored.study,
            data,
            stored.paths,
            record,
            by_hand=options.trial is not None,
            seeds=options.seeds,
            progress=lambda n, seeds, m: report(n * epochs + m.epoch, seeds * epochs),
            own=own,
        )
    show_retraining(stored.paths, card, runs)
    publish_winner(options)
    return 0


def test(options: Namespace) -> int:
    """Test the winner."""
    stored = _open(options)

    from handsigns.cli.show import show_test
    from handsigns.winner.test import check_choice, test_winner

    check_choice(stored.paths, after_test=options.after_test)
    data = _recorded_data(stored, options.data)
    result = test_winner(
        data,
        stored.paths,
        after_test=options.after_test,
        allow_own_code=options.own_code,
    )
    show_test(stored.paths, result)
    publish_winner(options)
    return 0


def predict(options: Namespace) -> int:
    """Classify picture files."""
    from handsigns.cli.show import show_predictions
    from handsigns.search.paths import SearchPaths
    from handsigns.winner.predict import predict as classify

    paths = SearchPaths.existing(options.results, options.name)
    found = classify(paths.winner, options.images, allow_own_code=options.own_code)
    show_predictions(found, options.format)
    return 0


def replay(options: Namespace) -> int:
    """Run a trial again and compare."""
    stored = _open(options)

    from handsigns.cli.show import show_changes
    from handsigns.winner.replay import ReplayError
    from handsigns.winner.replay import replay as train_again

    record = stored.trial(options.trial)
    own = own_code_of_trial(stored, record, allowed=options.own_code)
    sessions = [stored.journal.sessions[number] for number in record.sessions]
    data = _recorded_data(stored, options.data, sessions[-1].fingerprint if sessions else None)
    show_changes(sessions)
    total = len(record.epochs)
    same = True
    try:
        with progress(f"replaying trial {record.trial_id}") as report:
            for epoch in train_again(stored.study, data, record, own):
                report(epoch.metrics.epoch, total)
                for name, (before, after) in epoch.differences.items():
                    same = False
                    print(f"epoch {epoch.metrics.epoch}: {name} {before!r} became {after!r}")
    except ReplayError as error:
        print(f"different: {error}")
        return FAILED
    end = ", and diverged again" if record.status == "diverged" else ""
    verdict = "identical" if same else "different"
    print(f"{verdict}: trial {record.trial_id}, {total} epochs{end}")
    return 0 if same else FAILED


def prepare(options: Namespace) -> int:
    """Make a data set of small pictures."""
    from handsigns.data.prepare import prepare as build

    with progress("preparing pictures") as report:
        done = build(
            options.source,
            options.dest,
            size=options.size,
            seed=options.seed,
            skip_bad=options.skip_bad,
            progress=report,
        )
    for note in done.notes:
        print(f"note: {note}")
    counts = ", ".join(f"{name} {count}" for name, count in done.counts.items())
    print(f"{done.folder} is ready: {counts} ({done.made} made now)")
    size = "" if options.size == 64 else f" --size {options.size}"
    print(f"search on it: python tune_main.py run default --data {done.folder}{size}")
    return 0


def _begin(
    options: Namespace,
    study: StudyConfig,
    data: DataSet,
    record: DataRecord,
    warm_start: WarmStart | None,
    own: OwnCode | None,
) -> int:
    from handsigns.errors import ResourceError
    from handsigns.search.paths import SearchPaths
    from handsigns.search.store import begin_search, discard, held

    paths = SearchPaths.named(options.results, options.name)
    stored = begin_search(paths, study, record, warm_start, own)
    try:
        with held(paths):
            return _search_and_show(options, study, data, stored, own)
    except ResourceError:
        discard(paths)
        raise


def _search_and_show(
    options: Namespace,
    study: StudyConfig,
    data: DataSet,
    stored: StoredSearch,
    own: OwnCode | None,
) -> int:
    from handsigns.cli.show import show_outcome
    from handsigns.search.runner import run_search
    from handsigns.search.warm_start import read_warm_start

    try:
        outcome = run_search(
            study,
            data,
            stored.paths,
            options.address,
            warm_start=read_warm_start(stored.paths.warm_start),
            dashboard=options.dashboard,
            own=own,
        )
    except KeyboardInterrupt:
        print(f"interrupted; go on with: python tune_main.py resume {options.name}")
        return INTERRUPTED
    show_outcome(_open(options), outcome)
    show_tools(stored.paths, study, study.tracking.tools)
    if outcome.by_user:
        return INTERRUPTED
    usable = any(r.epochs and r.status not in ("diverged", "failed") for r in outcome.records)
    return 0 if usable else FAILED


def _finish(options: Namespace) -> int:
    """What follows the search in `run`."""
    from handsigns.cli.show import show_places

    options.trial, options.data, options.after_test = None, None, False
    retrain(options)
    test(options)
    show_places(_open(options).paths)
    return 0


def _study(options: Namespace) -> tuple[StudyConfig, Path]:
    """The search as it is asked for, and the file of its space."""
    from handsigns.config.menu import resolve_space_path

    space = resolve_space_path(options.space)  # a misspelt name is told before more is loaded

    from handsigns.config.load import load_study

    chosen = {
        "seed": options.seed,
        "budget.max_epochs": options.max_epochs,
        "budget.target": options.target,
        "resources.cpus_per_trial": options.cpus_per_trial,
        "resources.gpus_per_trial": options.gpus_per_trial,
    }
    given = {key: value for key, value in chosen.items() if value is not None} | _budget(options)
    overrides = [*options.overrides, *track_overrides(options.track)]
    return load_study(space, overrides, given), space


def _budget(options: Namespace) -> dict[str, object]:
    chosen = {"budget.trials": options.trials, "budget.time_budget": options.time_budget}
    return {key: value for key, value in chosen.items() if value is not None}


def _open(options: Namespace) -> StoredSearch:
    from handsigns.search.paths import SearchPaths

    paths = SearchPaths.existing(options.results, options.name)  # told at once, too

    from handsigns.search.store import open_search

    return open_search(paths)


def _new_name(space: str) -> str:
    return f"{Path(space).stem}-{time.strftime('%Y%m%d-%H%M%S')}"


def _done(study: StudyConfig, stored: StoredSearch) -> tuple[str, str] | None:
    """Why a search has nothing to go on with, and how to give it more; None where it has."""
    journal, name = stored.journal, stored.paths.name
    ended = [r for r in journal.records if r.ended]
    if len(ended) >= study.budget.trials:
        more = f"to try more: tune_main.py resume {name} --trials {2 * len(ended)}"
        return f"all {len(ended)} trials of {name} are done", more
    limit = study.budget.time_budget
    if limit is not None and journal.elapsed >= limit:
        return f"the time budget of {name}, {format_duration(limit)}, is used up", (
            f"to give it more in all: tune_main.py resume {name} --time-budget "
            f"{format_duration(2 * limit)}"
        )
    return None


def _conclude(
    options: Namespace, study: StudyConfig, stored: StoredSearch, reason: str, more: str
) -> int:
    """Nothing is left to be run; but where the search was killed, its end is yet to be written."""
    if stored.journal.ended_because:
        raise ResultsError(f"{reason}; {more}")

    from handsigns.cli.show import show_outcome
    from handsigns.search.runner import conclude_search
    from handsigns.search.store import held

    with held(stored.paths):
        outcome = conclude_search(study, stored.paths, reason)
    show_outcome(_open(options), outcome)
    print(more)
    return 0


def _open_data(folder: Path | None, size: int, skip_bad: bool) -> DataSet:
    from handsigns.data.open import open_data

    with progress("drawing hands" if folder is None else "reading pictures") as report:
        return open_data(folder, size=size, skip_bad=skip_bad, progress=report)


def _open_recorded(stored: StoredSearch, moved: Path | None) -> DataSet:
    """The data from the place where the search had them, or from where they are now."""
    record = stored.data
    folder = moved or (Path(record.folder) if record.folder else None)
    return _open_data(folder, record.size, record.skip_bad)


def _recorded_data(
    stored: StoredSearch, moved: Path | None, fingerprint: str | None = None
) -> DataSet:
    """The data of the search, or those of the given fingerprint, known to be the same by it."""
    data = _open_recorded(stored, moved)
    wanted = fingerprint or stored.data.info.fingerprint
    if data.info.fingerprint != wanted:
        raise DataError(
            f"{_other_data(stored, data, wanted)}; put the earlier pictures back, say where they "
            f"are (--data DIR), or search anew"
        )
    return data


def _other_data(stored: StoredSearch, data: DataSet, wanted: str) -> str:
    return (
        f"the data in {data.info.source} are not those of {stored.paths.name}: fingerprint "
        f"{data.info.fingerprint[:12]} instead of {wanted[:12]}"
    )


def _refuse_changes(
    stored: StoredSearch, data: DataSet, options: Namespace, own: OwnCode | None
) -> None:
    """Going on with other data or other code is the user's decision."""
    from handsigns.search.environment import changed_code, describe_environment

    wanted = stored.data.info.fingerprint
    if data.info.fingerprint != wanted and not options.accept_changed_data:
        raise DataError(
            f"{_other_data(stored, data, wanted)}. Put the earlier pictures back or say where they "
            f"are (--data DIR); or go on with the changed ones, on which unfinished trials start "
            f"over and new ones are trained: --accept-changed-data"
        )
    sessions = stored.journal.sessions
    changes = changed_code(sessions[-1].environment, describe_environment(own)) if sessions else []
    if changes and not options.accept_changed_code:
        raise ResultsError(
            f"what {stored.paths.name} was run with has changed: {'; '.join(changes)}. Its trials "
            f"may no longer come out the same. Go back to what it was run with, or go on all the "
            f"same: --accept-changed-code"
        )


def _warm_start(options: Namespace, study: StudyConfig, data: DataSet) -> WarmStart:
    from handsigns.search.paths import SearchPaths
    from handsigns.search.store import open_search
    from handsigns.search.warm_start import make_warm_start

    earlier = open_search(SearchPaths.existing(options.results, options.warm_start))
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


def _show_plan(study: StudyConfig) -> int:
    from handsigns.config.load import dump_study
    from handsigns.search.cluster import share_out, this_machine

    print(f"would run {share_out(study.resources, *this_machine())}\n\n{dump_study(study)}")
    return 0
