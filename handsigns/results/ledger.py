"""The test ledger: a line for each time the test split of a search was opened."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from handsigns.errors import ResultsError


@dataclass(frozen=True)
class TestOpening:
    """One opening of the test split: when (seconds since the epoch), for what, with what result."""

    __test__ = False  # not a test case, whatever pytest makes of the name

    time: float
    trial_id: str
    model_digest: str
    correct: int
    total: int


def read_ledger(path: Path) -> list[TestOpening]:
    """All openings so far, oldest first.

    Raises:
        ResultsError: the ledger is damaged; it is evidence, so it is not passed over.
    """
    if not path.exists():
        return []
    try:
        return [TestOpening(**json.loads(line)) for line in path.read_text().splitlines()]
    except (ValueError, TypeError) as error:
        raise ResultsError(
            f"{path} is damaged ({error}): it says what was tested, so restore it from a copy"
        ) from error


def add_opening(
    path: Path, trial_id: str, model_digest: str, correct: int, total: int
) -> TestOpening:
    """Record that the test split was opened."""
    opening = TestOpening(time.time(), trial_id, model_digest, correct, total)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(opening)) + "\n")
    return opening
