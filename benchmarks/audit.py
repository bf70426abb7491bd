"""What must hold of every search, whatever befell it, told from its files alone.

    python benchmarks/audit.py results/NAME

The stops are reckoned again, independently of the search's own code and of Ray's, from the recorded
values; every trial is trained again; and the tables are held against both.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from handsigns.config.search import StudyConfig
from handsigns.data.dataset import DataSet, open_data
from handsigns.errors import HandsignsError
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import StoredSearch, open_search
from handsigns.results.tables import decision_table, epoch_table, leaderboard_table, trial_table
from handsigns.results.trial import TrialRecord
from handsigns.winner.replay import ReplayError, replay


@dataclasses.dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        trials: in the journal.
        resumed: trained in more than one session, or in more than one process.
        replayed: trials that were trained again.
        problems: what does not hold, in words.
    """

    trials: int
    resumed: int
    replayed: int
    problems: list[str]


def audit(root: Path) -> Audit:
    """Check a search that came to its end.

    Args:
        root: the folder of its results.
    """
    search = open_search(SearchPaths(root))
    records = search.journal.records
    folder = Path(search.data.folder) if search.data.folder else None
    data = open_data(folder, size=search.data.size, skip_bad=search.data.skip_bad)
    again, differences = _train_again(search, data)
    problems = [
        *_incomplete(search),
        *_broken_off(records),
        *_wrong_stops(search.study, search.journal),
        *_wrong_tables(search, again),
        *differences,
        *(f"{path} was left behind" for path in root.rglob(".*.tmp")),
    ]
    resumed = sum(len(r.sessions) > 1 or r.retries > 0 for r in records)
    return Audit(len(records), resumed, len(again), problems)


def _incomplete(search: StoredSearch) -> Iterator[str]:
    wanted, found = search.study.budget.trials, len(search.journal.records)
    if found != wanted:
        yield f"{found} trials instead of {wanted}"
    for record in search.journal.records:
        if not record.ended:
            yield f"trial {record.trial_id} is {record.status}"


def _broken_off(records: list[TrialRecord]) -> Iterator[str]:
    for record in records:
        numbers = [metrics.epoch for metrics in record.epochs]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"trial {record.trial_id} has the epochs {numbers}"


def _wrong_stops(study: StudyConfig, journal: Journal) -> Iterator[str]:
    """ASHA again, from its paper: at a rung all but the best 1/reduction factor so far stop."""
    rule, grace = study.scheduler, study.scheduler.grace_period
    factor = rule.reduction_factor
    if rule.name != "asha" or grace is None or factor is None:
        return
    sign = -1.0 if study.objective.minimize else 1.0
    reached: dict[float, dict[str, float]] = {}
    rung = float(grace)
    while rung < study.budget.max_epochs:
        reached[rung] = {}
        rung *= factor
    stops = Counter[str]()
    for trial_id, metrics, verdict in journal.reports:
        passed = [rung for rung in reached if rung <= metrics.epoch < study.budget.max_epochs]
        if not passed or trial_id in reached[passed[-1]]:
            if verdict is not None:
                yield f"trial {trial_id} was judged after epoch {metrics.epoch}, at no rung"
            continue
        values = reached[passed[-1]]
        value = sign * float(getattr(metrics, study.objective.metric))
        stop = bool(values) and value < np.percentile([*values.values()], 100 * (1 - 1 / factor))
        if verdict is None or (verdict.stop, verdict.earlier) != (stop, len(values)):
            yield f"trial {trial_id}, epoch {metrics.epoch}: {verdict}, where stop={stop} is right"
        values[trial_id] = value
        stops[trial_id] += int(stop)
    for record in journal.records:
        if (record.status == "stopped") != (stops[record.trial_id] == 1):
            yield f"trial {record.trial_id} is {record.status} after {stops[record.trial_id]} stops"


def _train_again(search: StoredSearch, data: DataSet) -> tuple[list[TrialRecord], list[str]]:
    """Each trial's record with the metrics of its replay in the place of those recorded."""
    replayed, differences = [], []
    for record in search.journal.records:
        epochs = []
        try:
            for recorded, epoch in zip(
                record.epochs, replay(search.study, data, record), strict=True
            ):
                seconds = recorded.epoch_seconds
                epochs.append(dataclasses.replace(epoch.metrics, epoch_seconds=seconds))
                for name, (before, now) in epoch.differences.items():
                    differences.append(
                        f"trial {record.trial_id}, epoch {recorded.epoch}: {name} was {before} and "
                        f"is {now}"
                    )
        except ReplayError as error:
            differences.append(f"trial {record.trial_id}: {error}")
        replayed.append(dataclasses.replace(record, epochs=tuple(epochs)))
    return replayed, differences


def _wrong_tables(search: StoredSearch, again: list[TrialRecord]) -> Iterator[str]:
    """The leaderboard must be the replays'; the other tables, what the journal tells."""
    paths, journal = search.paths, search.journal
    expected = {
        paths.leaderboard: leaderboard_table(again, search.study.objective).csv(),
        paths.trials: trial_table(journal.records).csv(),
        paths.epochs: epoch_table(journal.records).csv(),
        paths.decisions: decision_table(journal.decisions).csv(),
    }
    for path, text in expected.items():
        if path.read_text() != text:
            yield f"{path.name} is another than it should be"


def main() -> int:
    """Audit one search; the status is 1 where something does not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of the search's results")
    try:
        found = audit(parser.parse_args().folder)
    except HandsignsError as error:  # no search, or one that ran its user's own code
        print(f"error: {error}")
        return 2
    print(f"{found.trials} trials, {found.resumed} resumed, {found.replayed} replayed")
    for problem in found.problems:
        print(f"wrong: {problem}")
    return 1 if found.problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
