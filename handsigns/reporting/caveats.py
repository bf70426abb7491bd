"""Caveats and provenance of a search's results."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from handsigns.console.failure import group_failures
from handsigns.console.format import pluralize
from handsigns.console.program import CONSOLE_SCRIPT
from handsigns.console.sanitize import printable
from handsigns.data.imbalance import imbalance_note
from handsigns.reporting.reevaluation import missing_best_warning
from handsigns.reporting.suspects import describe_leak_effect
from handsigns.reporting.winner import WinnerSummary
from handsigns.results.environment import code_changes, machine_changes
from handsigns.results.statistics import num_val_images, runner_up, validation_score, within_noise
from handsigns.results.store import StoredSearch
from handsigns.results.suspects import SuspectLabels
from handsigns.results.winner import SelectionMethod

_SMALL_VAL_SPLIT = 200
"""Images; in a smaller validation split one image is more than half a percentage point."""
_SELECTION: dict[SelectionMethod, str] = {
    "user": "was picked by hand",
    "smallest": "was chosen for its size",
}
"""How a trial was selected that need never have been the best."""


def warnings(
    search: StoredSearch, winner_summary: WinnerSummary, suspects: SuspectLabels | None
) -> list[str]:
    """Return all warnings, most severe first."""
    return [
        *_test_warnings(search, winner_summary),
        *_selection_warnings(search, suspects),
        *_run_warnings(search),
    ]


def _test_warnings(search: StoredSearch, winner_summary: WinnerSummary) -> Iterator[str]:
    test = winner_summary.test
    best = search.winner
    if winner_summary.test_evaluations > 1:
        yield (
            f"The test split was opened {winner_summary.test_evaluations} times; only the first "
            f"result is free of choices made after it."
        )
    if test is None:
        return
    if test.selected_after_test:
        yield f"Trial {test.trial_id} was chosen by the user after a test result was known."
    if best is not None and test.trial_id != best.trial_id:
        reason = _SELECTION.get(test.selected_by, "is no longer the best")
        yield (
            f"The tested model comes from trial {test.trial_id}, which {reason}; the best is trial "
            f"{best.trial_id}."
        )
    if test.fingerprint != search.data.info.fingerprint:
        yield "The images have changed since the test."


def _selection_warnings(search: StoredSearch, suspects: SuspectLabels | None) -> Iterator[str]:
    winner, second = search.winner, runner_up(search)
    best_score = validation_score(search, winner) if winner else None
    second_score = validation_score(search, second) if second else None
    if search.reevaluated_trials:
        yield from filter(None, [missing_best_warning(search, CONSOLE_SCRIPT)])
    elif best_score and second_score and within_noise(best_score, second_score):
        yield "The difference between the best two trials is within noise."
    count = num_val_images(search)
    if 0 < count < _SMALL_VAL_SPLIT:
        yield (
            f"The validation split has {count} images: one image is {100 / count:.1f} percentage "
            f"points of accuracy, so small differences mean little."
        )
    yield from (printable(note) for note in search.data.info.notes)
    if suspects is not None and suspects.leak_effect is not None:
        yield f"{describe_leak_effect(suspects.leak_effect)}."
    if note := imbalance_note(search.data.info, search.config.objective):
        yield f"{note[0].upper()}{note[1:]}."


def _run_warnings(search: StoredSearch) -> Iterator[str]:
    records = search.journal.records
    for failure, failed in group_failures(
        (r.trial_id, r.error) for r in records if r.status == "failed"
    ):
        yield (
            f"{len(failed)} of {len(records)} trials failed: {printable(str(failure))}. For the "
            f"traceback, open {failed[0]} in the leaderboard."
        )
    if diverged := sum(record.status == "diverged" for record in records):
        yield f"{diverged} of {len(records)} trials diverged (unranked)."
    sessions = search.journal.sessions
    for number, (previous, current) in enumerate(itertools.pairwise(sessions), 2):
        changes = [
            *code_changes(previous.environment, current.environment),
            *machine_changes(previous.environment, current.environment),
        ]
        if previous.fingerprint != current.fingerprint:
            changes.append("the images changed")
        if changes:
            yield f"In session {number}, {printable('; '.join(changes))}."


def provenance(search: StoredSearch, environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return data, settings and environment of the search as names and values."""
    info, config = search.data.info, search.config
    size = config.space.size()
    entries = [
        ("Data", f"{info.source}, {info.size}x{info.size} pixels"),
        ("Data fingerprint", info.fingerprint),
        ("Search seed", str(config.seed)),
        (
            "Objective",
            f"{config.objective.metric} of the last epoch ({config.objective.direction})",
        ),
        ("Searcher, scheduler", f"{config.searcher.name}, {_scheduler(search)}"),
        (
            "Search space",
            "continuous" if size is None else pluralize(size, "configuration"),
        ),
        ("Sessions", str(max(1, len(search.journal.sessions)))),
        *_machine(environment),
    ]
    return [(name, printable(value)) for name, value in entries]


def _scheduler(search: StoredSearch) -> str:
    scheduler = search.config.scheduler
    text: str = scheduler.name
    if scheduler.grace_period is not None:
        text += f", grace period {scheduler.grace_period}"
    if scheduler.reduction_factor is not None:
        text += f", reduction factor {scheduler.reduction_factor:g}"
    return text


def _machine(environment: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    packages = environment.get("packages")
    if isinstance(packages, Mapping):
        versions = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
        yield "Versions", f"Python {environment.get('python', '?')}, {versions}"
    if environment.get("processor"):
        memory = environment.get("memory_bytes")
        gib = f", {memory / 2**30:.0f} GiB memory" if isinstance(memory, (int, float)) else ""
        yield "Hardware", f"{environment['processor']}, {environment.get('cpus', '?')} CPUs{gib}"
    if environment.get("platform"):
        yield "System", str(environment["platform"])
    git = environment.get("git")
    if isinstance(git, Mapping):
        state = "clean" if git.get("clean") else "uncommitted changes"
        yield "Code", f"revision {git.get('revision')} ({state})"
    elif environment.get("code"):
        yield "Code", f"digest {environment['code']}, no git revision"


def class_counts(search: StoredSearch, max_rows: int) -> list[tuple[str, list[int | None]]]:
    """Return each class's numbers of train, val and test images, None where not recorded.

    Of more than `max_rows` classes, those with the fewest training images, in ascending order.
    """
    info = search.data.info
    splits = [info.counts.get(split, ()) for split in ("train", "val", "test")]
    rows = [
        (printable(name), [counts[k] if k < len(counts) else None for counts in splits])
        for k, name in enumerate(info.classes)
    ]
    return (
        rows if len(rows) <= max_rows else sorted(rows, key=lambda row: row[1][0] or 0)[:max_rows]
    )
