"""What a reader should know before believing the numbers, and where they came from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from handsigns.console.failure import failures
from handsigns.console.program import INSTALLED
from handsigns.console.sanitize import printable
from handsigns.reporting.reevaluation import left_out
from handsigns.reporting.winner import Winner
from handsigns.results.environment import changed_code, changed_machine
from handsigns.results.statistics import runner_up, score, validation_pictures, within_noise
from handsigns.results.store import StoredSearch

_FEW_PICTURES = 200
"""In a validation split below this, a picture more or less is half a point or more."""


def warnings(search: StoredSearch, known: Winner) -> list[str]:
    """All of them, the gravest first."""
    return [*_about_test(search, known), *_about_choice(search), *_about_run(search)]


def _about_test(search: StoredSearch, known: Winner) -> Iterator[str]:
    test = known.test
    best = search.winner
    if known.openings > 1:
        yield (
            f"The test split was opened {known.openings} times; only the first result is free "
            f"of choices made after it."
        )
    if test is None:
        return
    if test.chosen_after_test:
        yield f"Trial {test.trial_id} was picked by hand after a test result was known."
    if best is not None and test.trial_id != best.trial_id:
        yield (
            f"The model that was tested is of trial {test.trial_id}, which is not the best by now: "
            f"that is trial {best.trial_id}."
        )
    if test.fingerprint != search.data.info.fingerprint:
        yield "The images have changed since the test."


def _about_choice(search: StoredSearch) -> Iterator[str]:
    winner, second = search.winner, runner_up(search)
    won = score(search, winner) if winner else None
    other = score(search, second) if second else None
    if search.finalists:
        yield from filter(None, [left_out(search, INSTALLED)])
    elif won is not None and other is not None and within_noise(won, other):
        yield "The first two trials lie within noise of each other."
    count = validation_pictures(search)
    if 0 < count < _FEW_PICTURES:
        yield (
            f"The validation split has {count} images: each counts {100 / count:.1f} points of "
            f"accuracy, so small differences mean little."
        )
    yield from (printable(note) for note in search.data.info.notes)


def _about_run(search: StoredSearch) -> Iterator[str]:
    records = search.journal.records
    for failure, failed in failures((r.trial_id, r.error) for r in records if r.status == "failed"):
        which = f"{len(failed)} of {len(records)} trials failed"
        yield (
            f"{which}: {printable(str(failure))}. For the traceback, open {failed[0]} in the "
            f"leaderboard."
        )
    if diverged := sum(record.status == "diverged" for record in records):
        yield f"{diverged} of {len(records)} trials diverged (no rank)."
    sessions = search.journal.sessions
    for number, (then, now) in enumerate(itertools.pairwise(sessions), 2):
        changes = [
            *changed_code(then.environment, now.environment),
            *changed_machine(then.environment, now.environment),
        ]
        if then.fingerprint != now.fingerprint:
            changes.append("the images were others")
        if changes:
            yield f"In session {number}, {printable('; '.join(changes))}."


def facts(search: StoredSearch, environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the numbers came from, as names and values."""
    info, study = search.data.info, search.study
    size = study.space.size()
    found = [
        ("Data", f"{info.source}, {info.size}x{info.size} pixels"),
        ("Data fingerprint", info.fingerprint),
        ("Seed of the search", str(study.seed)),
        ("Objective", f"{study.objective.metric} of the last epoch ({study.objective.direction})"),
        ("Searcher, scheduler", f"{study.searcher.name}, {_scheduler(search)}"),
        ("Space", "continuous" if size is None else f"{size} configurations"),
        ("Sessions", str(max(1, len(search.journal.sessions)))),
        *_machine(environment),
    ]
    return [(name, printable(value)) for name, value in found]


def _scheduler(search: StoredSearch) -> str:
    rule = search.study.scheduler
    text: str = rule.name
    if rule.grace_period is not None:
        text += f", grace period {rule.grace_period}"
    if rule.reduction_factor is not None:
        text += f", reduction factor {rule.reduction_factor:g}"
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
        clean = "clean" if git.get("clean") else "edited since"
        yield "Code", f"revision {git.get('revision')} ({clean})"
    elif environment.get("code"):
        yield "Code", f"digest {environment['code']}, no git revision"


def class_counts(search: StoredSearch, most: int) -> list[tuple[str, list[int | None]]]:
    """Images of each class in train, val and test split, None where that is not recorded; of more
    than `most` classes those with the fewest training images, the fewest first.
    """
    info = search.data.info
    splits = [info.counts.get(split, ()) for split in ("train", "val", "test")]
    rows = [
        (printable(name), [counts[k] if k < len(counts) else None for counts in splits])
        for k, name in enumerate(info.classes)
    ]
    return rows if len(rows) <= most else sorted(rows, key=lambda row: row[1][0] or 0)[:most]
