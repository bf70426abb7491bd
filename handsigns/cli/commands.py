"""What each command does, told in the words of the layers below."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING

from handsigns.cli.tracking import publish_winner, show_tools, track_overrides
from handsigns.console.format import format_duration
from handsigns.console.progress import progress
from handsigns.console.sanitize import note
from handsigns.errors import DataError, HandsignsError, ResultsError
from handsigns.workflow import flow
from handsigns.workflow.user_code import own_code_of_trial, own_code_to_go_on, try_out

if TYPE_CHECKING:
    from handsigns.config.search import StudyConfig
    from handsigns.config.user_code import OwnCode
    from handsigns.data.dataset import DataSet
    from handsigns.results.store import StoredSearch

FAILED = 1
INTERRUPTED = 130


def run(options: Namespace) -> int:
    """Search, leaderboard, retrain, test, report."""
    status = _search(options)
    if options.dry_run:
        return status
    if status == 0:
        status = _finish(options)
    return _reported(options, status)


def search(options: Namespace) -> int:
    """Search, print the leaderboard and write the report."""
    status = _search(options)
    return status if options.dry_run else _reported(options, status)


def _search(options: Namespace) -> int:
    # Before the imports, so that an error in it comes at once.
    overrides = [*options.overrides, *track_overrides(options.track)]
    study, space = flow.choose_study(options.space, overrides, vars(options))

    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import refuse_taken

    options.name = options.name or flow.new_name(options.space)
    paths = SearchPaths.named(options.results, options.name)
    if not options.dry_run:
        refuse_taken(paths)
    new = flow.plan_search(
        study,
        space,
        paths,
        folder=options.data,
        size=options.size,
        skip_bad=options.skip_bad,
        warm_start=options.warm_start,
        own_code=options.own_code,
    )
    if options.dry_run:
        return _show_plan(study)
    with flow.begun(new) as stored:
        return _search_and_show(options, study, new.data, stored, new.own)


def resume(options: Namespace) -> int:
    """Go on with a search."""
    stored = _open(options)

    from handsigns.config.load import dump_study, load_study
    from handsigns.config.user_code import keep
    from handsigns.io.atomic import write_text
    from handsigns.results.store import held, record_data
    from handsigns.tracking.registry import refuse_missing

    tracked = track_overrides(options.track)
    study = load_study(stored.paths.study, tracked, options=flow.given(vars(options)))
    refuse_missing(study.tracking.tools)
    done = _done(study, stored)
    if done is not None:
        return _conclude(options, study, stored, *done)
    own = own_code_to_go_on(stored, allowed=options.own_code)
    with held(stored.paths):
        flow.refuse_elsewhere(stored)
        data = flow.open_recorded(stored, options.data)
        _refuse_changes(stored, data, options, own)
        try_out(study, own, data)
        keep(stored.paths.own_code, own)
        record_data(stored, data.info, options.data)
        write_text(stored.paths.study, dump_study(study))
        status = _search_and_show(options, study, data, stored, own)
    return _reported(options, status)


def list_searches(options: Namespace) -> int:
    """All searches in the results folder."""
    from handsigns.cli.show import show_searches
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import open_search

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


def reevaluate(options: Namespace) -> int:
    """Train the best trials again, and tell of it in the report."""
    return _reported(options, _reevaluate(options, flow.given_again(vars(options))))


def _reevaluate(options: Namespace, wanted: Mapping[str, object]) -> int:
    stored = _open(options)

    from handsigns.cli.show import show_finals

    outcome = flow.reevaluate(
        stored,
        options.data,
        wanted,
        address=options.address,
        own_code=options.own_code,
        exit_at_second_interrupt=True,
    )
    if outcome is not None and outcome.by_user:
        print(f"interrupted; go on with: {stored.paths.repeats.go_on}")
        return INTERRUPTED
    show_finals(_open(options), outcome)
    return 0


def retrain(options: Namespace) -> int:
    """Train the best configuration again, and tell of it in the report."""
    _retrain(options)
    return _reported(options, 0)


def _retrain(options: Namespace) -> None:
    stored = _open(options)

    from handsigns.cli.show import show_retraining

    card, runs = flow.retrain_winner(
        stored,
        options.data,
        options.trial,
        options.seeds,
        ensemble=options.ensemble,
        own_code=options.own_code,
    )
    show_retraining(stored.paths, card, runs)
    publish_winner(stored)


def test(options: Namespace) -> int:
    """Test the winner, and tell of it in the report."""
    _test(options)
    return _reported(options, 0)


def _test(options: Namespace) -> None:
    stored = _open(options)

    from handsigns.cli.show import show_test
    from handsigns.winner.test import check_choice, test_winner

    check_choice(stored.paths, after_test=options.after_test)
    data = flow.recorded_data(stored, options.data)
    result = test_winner(
        data, stored.paths, after_test=options.after_test, allow_own_code=options.own_code
    )
    show_test(stored.paths, result)
    publish_winner(stored)


def predict(options: Namespace) -> int:
    """Classify picture files."""
    from handsigns.cli.show import show_predictions
    from handsigns.results.paths import SearchPaths
    from handsigns.winner.predict import load_winner
    from handsigns.winner.predict import predict as classify

    paths = SearchPaths.existing(options.results, options.name)
    winner = load_winner(paths.winner, allow_own_code=options.own_code)
    show_predictions(classify(winner, options.images), options.format)
    return 0


def replay(options: Namespace) -> int:
    """Run a trial again and compare."""
    stored = _open(options)

    from handsigns.cli.show import show_changes
    from handsigns.winner.replay import ReplayError
    from handsigns.winner.replay import replay as train_again

    record, journal = stored.recorded(options.trial)
    sessions = [journal.sessions[number] for number in record.sessions]
    own = own_code_of_trial(stored, record, sessions, allowed=options.own_code)
    data = flow.recorded_data(stored, options.data, sessions[-1].fingerprint if sessions else None)
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
    for remark in done.notes:
        print(f"note: {remark}")
    counts = ", ".join(f"{name} {count}" for name, count in done.counts.items())
    print(f"{done.folder} is ready: {counts} ({done.made} made now)")
    size = "" if options.size == 64 else f" --size {options.size}"
    print(f"search on it: python tune_main.py run default --data {done.folder}{size}")
    return 0


def _search_and_show(
    options: Namespace,
    study: StudyConfig,
    data: DataSet,
    stored: StoredSearch,
    own: OwnCode | None,
) -> int:
    from handsigns.cli.show import show_outcome
    from handsigns.results.warm_start import read_warm_start
    from handsigns.workflow.flow import run_search

    try:
        outcome = run_search(
            study,
            data,
            stored.paths,
            options.address,
            warm_start=read_warm_start(stored.paths.warm_start),
            dashboard=options.dashboard,
            own=own,
            exit_at_second_interrupt=True,
        )
    except KeyboardInterrupt:
        print(f"interrupted; go on with: python tune_main.py resume {options.name}")
        return INTERRUPTED
    show_outcome(_open(options), outcome)
    show_tools(stored.paths, study, study.tracking.tools)
    if outcome.by_user:
        return INTERRUPTED
    usable = any(record.has_result for record in outcome.records)
    return 0 if usable else FAILED


def _finish(options: Namespace) -> int:
    """What follows the search in `run`."""
    from handsigns.cli.show import show_places

    options.trial, options.data, options.after_test = None, None, False
    if _open(options).study.reevaluation.top:
        status = _reevaluate(options, {})
        if status:
            return status
    _retrain(options)
    _test(options)
    show_places(_open(options).paths)
    return 0


def _reported(options: Namespace, status: int) -> int:
    """Write the report of a search that ended with this status; no trouble with it changes that."""
    if options.no_report:
        return status

    from handsigns.cli.reporting import write_page

    try:
        write_page(_open(options), options.reports)
    except (HandsignsError, OSError) as error:
        note(f"there is no report: {error}")
    return status


def _open(options: Namespace) -> StoredSearch:
    return flow.open_named(options.results, options.name)


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
    from handsigns.results.store import held
    from handsigns.tuning.recovery import conclude_search
    from handsigns.tuning.session import SearchOutcome

    with held(stored.paths):
        conclude_search(study, stored.paths, reason)
    outcome = SearchOutcome(_open(options).journal.records, reason, by_user=False)
    show_outcome(_open(options), outcome)
    print(more)
    return _reported(options, 0)


def _refuse_changes(
    stored: StoredSearch, data: DataSet, options: Namespace, own: OwnCode | None
) -> None:
    """Going on with other data or other code is the user's decision."""
    from handsigns.results.environment import changed_code, describe_environment

    wanted = stored.data.info.fingerprint
    if data.info.fingerprint != wanted and not options.accept_changed_data:
        raise DataError(
            f"{flow.other_data(stored, data, wanted)}. Put the earlier pictures back or say where "
            f"they are (--data DIR); or go on with the changed ones, on which unfinished trials "
            f"start over and new ones are trained: --accept-changed-data"
        )
    sessions = stored.journal.sessions
    changes = changed_code(sessions[-1].environment, describe_environment(own)) if sessions else []
    if changes and not options.accept_changed_code:
        raise ResultsError(
            f"what {stored.paths.name} was run with has changed: {'; '.join(changes)}. Its trials "
            f"may no longer come out the same. Go back to what it was run with, or go on all the "
            f"same: --accept-changed-code"
        )


def _show_plan(study: StudyConfig) -> int:
    from handsigns.cluster.resources import share_out, this_machine
    from handsigns.config.load import dump_study

    slots = share_out(study.resources, [this_machine()])
    measured = slots.gpus and study.resources.gpus_per_trial == "auto"
    later = "; how many share a GPU is measured as the search begins" if measured else ""
    print(f"would run {slots}{later}\n\n{dump_study(study)}")
    return 0
