# mypy: disable-error-code="import-untyped"
"""The search in TensorBoard: scalars of every epoch, and the HPARAMS tab.

Each trial is a folder with one event file, written by TensorBoard's own package; torch's writer
would load torch into the search's driver. All scalars of an epoch are one record of the file, so
that an epoch is there whole or not at all.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import Status as SessionStatus
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import HParam, Metric, hparams_config_pb, hparams_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from handsigns.results.trial import TrialRecord
from handsigns.tracking.base import METRICS, TrackedSearch, epoch_values, timed

_FILE = "events.out.tfevents.{began:010d}.handsigns"
_HEADER = struct.Struct("<Q4x")
"""Of a record: how long it is, and a checksum of that; a checksum of 4 bytes follows the record."""


class TensorboardFiles:
    """Event files in the folder `tensorboard`; see `Tracker`."""

    name = "tensorboard"

    def __init__(self, search: TrackedSearch) -> None:
        self._search = search
        self._folder = search.paths.tensorboard
        self._written: dict[str, int] = {}
        """Epochs in each trial's file, for those looked at in this session."""
        self._whole: set[str] = set()
        """Trials whose end is in their file."""

    def open(self, records: Sequence[TrialRecord]) -> None:
        """Write what the columns of the HPARAMS tab are, if it is not there."""
        self._folder.mkdir(exist_ok=True)
        path = self._folder / _FILE.format(began=0)
        if not path.exists():
            names = self._search.study.space
            config = hparams_config_pb([HParam(n) for n in names], [Metric(n) for n in METRICS])
            _append(path, [_begun(0.0), Event(wall_time=time.time(), summary=config)])

    def update(self, record: TrialRecord) -> None:
        """Write a trial's new epochs, and its end."""
        trial_id = record.trial_id
        path = self._folder / trial_id / _FILE.format(began=int(record.started_at))
        if trial_id not in self._written:
            self._look(path, record)
        if trial_id in self._whole:
            return
        events = [] if path.exists() else self._start(record)
        for moment, metrics in list(timed(record))[self._written[trial_id] :]:
            values = [
                Summary.Value(tag=n, simple_value=v) for n, v in epoch_values(metrics).items()
            ]
            summary = Summary(value=values)
            events.append(Event(wall_time=moment, step=metrics.epoch, summary=summary))
        if record.ended:
            events.append(_end(record))
            self._whole.add(trial_id)
        path.parent.mkdir(exist_ok=True)
        _append(path, events)
        self._written[trial_id] = len(record.epochs)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self, records: Sequence[TrialRecord]) -> None:
        """Nothing is open."""

    def _start(self, record: TrialRecord) -> list[Any]:
        start = hparams_pb(
            record.params, trial_id=record.trial_id, start_time_secs=record.started_at
        )
        return [
            _begun(record.started_at),
            Event(wall_time=record.started_at, summary=start),
        ]

    def _look(self, path: Path, record: TrialRecord) -> None:
        """Find what a trial's file has; a torn end is cut off, and one that does not agree goes."""
        self._written[record.trial_id] = 0
        if not path.exists():
            return
        events, end = _read(path)
        with path.open("rb+") as file:
            file.truncate(end)
        epochs = [e.summary for e in events if e.step]
        same = [_scalars(s) for s in epochs] == [
            [_single(v) for v in epoch_values(m).values()] for m in record.epochs[: len(epochs)]
        ]
        if len(events) < len(_START) or not same:
            path.unlink()
            return
        self._written[record.trial_id] = len(epochs)
        if any(v.tag == metadata.SESSION_END_INFO_TAG for e in events for v in e.summary.value):
            self._whole.add(record.trial_id)


_START = ("version", "parameters")
"""The records with which a trial's file begins."""


def _append(path: Path, events: Sequence[Any]) -> None:
    if events:
        with path.open("ab") as file:
            writer = RecordWriter(file)
            for event in events:
                writer.write(event.SerializeToString())


def _read(path: Path) -> tuple[list[Any], int]:
    """The whole records of an event file, and the byte at which they end."""
    data = path.read_bytes()
    events, at = [], 0
    while at + _HEADER.size <= len(data):
        (length,) = _HEADER.unpack_from(data, at)
        begin = at + _HEADER.size
        if begin + length + 4 > len(data):
            break
        events.append(Event.FromString(data[begin : begin + length]))
        at = begin + length + 4
    return events, at


def _scalars(summary: Any) -> list[float]:
    return [value.simple_value for value in summary.value]


def _single(value: float) -> float:
    """As TensorBoard keeps it, in single precision."""
    single: float = struct.unpack("f", struct.pack("f", value))[0]
    return single


def _begun(moment: float) -> Any:
    return Event(wall_time=moment, file_version="brain.Event:2")


def _end(record: TrialRecord) -> Any:
    status = (
        SessionStatus.STATUS_FAILURE
        if record.status in ("failed", "diverged")
        else SessionStatus.STATUS_SUCCESS
    )
    ended_at = record.ended_at or record.started_at
    content = HParamsPluginData(
        session_end_info=SessionEndInfo(status=status, end_time_secs=ended_at)
    )
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(content),
        tensor=metadata.NULL_TENSOR,
    )
    return Event(wall_time=ended_at, summary=Summary(value=[value]))
