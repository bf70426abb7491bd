"""The journal of a search: an append-only log of every start, epoch and end of a trial.

It is the one truth. Tables, the searcher's knowledge and the scheduler's rungs are made from it, so
nothing is lost with a process: Ray's own snapshots, which lag behind, are not needed.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from handsigns.config.trial import Scalar, TrialConfig, trial_seed
from handsigns.errors import ResultsError
from handsigns.search.record import Placement, Status, TrialRecord
from handsigns.training.metrics import EpochMetrics

Params = dict[str, Scalar]


class Journal:
    """The trials of one search, kept in memory and appended to a file as they happen.

    Args:
        path: the file; read first where it exists. Only one process may append.
        study_seed: from which each trial's seed follows.
        writable: open for appending; readers leave the file alone.
    """

    def __init__(self, path: Path, study_seed: int, *, writable: bool = False) -> None:
        self._seed = study_seed
        self._trials: dict[str, _Trial] = {}
        self._reports: list[tuple[str, EpochMetrics]] = []
        self.elapsed = 0.0
        """Seconds this search has run, over all its sessions."""
        events, whole = _read_events(path)
        for event in events:
            try:
                self._apply(event)
            except (KeyError, TypeError, ValueError) as error:
                raise ResultsError(
                    f"{path} holds an event that this version does not understand, or that was "
                    f"damaged ({type(error).__name__}: {error}): {json.dumps(event)[:200]}"
                ) from error
        self._file: TextIO | None = _open_after(path, whole) if writable else None

    @property
    def records(self) -> list[TrialRecord]:
        """All trials, in the order they were begun."""
        return [trial.record for trial in self._trials.values()]

    @property
    def reports(self) -> list[tuple[str, EpochMetrics]]:
        """Every epoch of every trial with its trial_id, in the order they were reported."""
        return list(self._reports)

    def __len__(self) -> int:
        return len(self._trials)

    def __getitem__(self, trial_id: str) -> TrialRecord:
        return self._trials[trial_id].record

    def begin(self, trial_id: str, params: Params) -> TrialRecord:
        """A trial was chosen (or, after a resume, taken up again)."""
        seed = trial_seed(self._seed, TrialConfig.from_params(params))
        self._write({"event": "begin", "trial_id": trial_id, "params": params, "seed": seed})
        return self[trial_id]

    def report(self, trial_id: str, metrics: EpochMetrics, placement: Placement) -> None:
        """A trial finished an epoch; one that is known already (trained again) is passed over."""
        if metrics.epoch > len(self[trial_id].epochs):
            where = dataclasses.asdict(placement)
            numbers = dataclasses.asdict(metrics)
            self._write({"event": "epoch", "trial_id": trial_id, "metrics": numbers, **where})

    def end(self, trial_id: str, status: Status, error: str = "") -> TrialRecord:
        """A trial came to its end."""
        self._write({"event": "end", "trial_id": trial_id, "status": status, "error": error})
        return self[trial_id]

    def pause(self, elapsed: float) -> None:
        """This session of the search ends, having run for `elapsed` seconds."""
        self._write({"event": "pause", "elapsed": elapsed})

    def close(self) -> None:
        """Close the file; what was recorded stays readable."""
        if self._file is not None:
            self._file.close()

    def _write(self, event: dict[str, Any]) -> None:
        if self._file is None:
            raise RuntimeError("this journal was opened for reading")
        event["time"] = time.time()
        self._file.write(json.dumps(event) + "\n")
        self._file.flush()
        self._apply(event)

    def _apply(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "pause":
            self.elapsed += event["elapsed"]
            return
        trial_id = event["trial_id"]
        if event["event"] == "begin":
            self._begun(trial_id, event)
            return
        if trial_id not in self._trials:
            raise ResultsError(f"the journal speaks of trial {trial_id} before it began")
        trial = self._trials[trial_id]
        if event["event"] == "epoch":
            metrics = EpochMetrics(**event["metrics"])
            self._reports.append((trial_id, metrics))
            trial.add(metrics, Placement(event["node"], event["device"], event["threads"]))
        else:
            trial.change(status=event["status"], error=event["error"], ended_at=event["time"])

    def _begun(self, trial_id: str, event: Mapping[str, Any]) -> None:
        if trial_id in self._trials:
            self._trials[trial_id].change(status="running", error="", ended_at=None)
            return
        self._trials[trial_id] = _Trial(
            TrialRecord(
                trial_id=trial_id,
                config=TrialConfig.from_params(event["params"]),
                params=event["params"],
                seed=event["seed"],
                status="running",
                epochs=(),
                placement=None,
                error="",
                started_at=event["time"],
                ended_at=None,
            )
        )


class _Trial:
    """A trial as it grows. Its record, which is for others, is made when one of them looks."""

    def __init__(self, begun: TrialRecord) -> None:
        self._record = begun
        self._epochs: list[EpochMetrics] = []
        self._placement: Placement | None = None

    @property
    def record(self) -> TrialRecord:
        if len(self._epochs) > len(self._record.epochs):
            self._record = dataclasses.replace(
                self._record, epochs=tuple(self._epochs), placement=self._placement
            )
        return self._record

    def add(self, metrics: EpochMetrics, placement: Placement) -> None:
        self._epochs.append(metrics)
        self._placement = placement

    def change(self, **changes: Any) -> None:
        self._record = dataclasses.replace(self.record, **changes)


def _read_events(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The events, and the byte at which they end; a torn last line is left out.

    Raises:
        ResultsError: a line before the last is damaged.
    """
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    try:
        # All at once, in half the time that it takes line by line.
        return json.loads(b"[" + b",".join(lines) + b"]"), sum(map(len, lines))
    except ValueError:
        return _read_lines(path, lines)


def _read_lines(path: Path, lines: list[bytes]) -> tuple[list[dict[str, Any]], int]:
    """The events of all lines but a damaged last one."""
    events: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            events.append(json.loads(line))
        except ValueError as error:
            if number == len(lines):
                return events, sum(map(len, lines[:-1]))
            raise ResultsError(
                f"{path}, line {number} is damaged ({error}); restore the file from a copy, or "
                f"delete the line to go on without that event"
            ) from error
    return events, sum(map(len, lines))


def _open_after(path: Path, whole: int) -> TextIO:
    """Open for appending, with what follows the last whole line cut off."""
    file = path.open("a", encoding="utf-8")
    file.truncate(whole)
    return file
