# mypy: disable-error-code="import-untyped"
"""Tracker for TensorBoard: scalars of every epoch, and the HPARAMS tab.

Each trial is a folder with one event file, written by TensorBoard's own package; torch's writer
would load torch into the search's driver. All scalars of an epoch are one record of the file, so
that an epoch is written completely or not at all.
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

from handsigns.results.trial import FAILURES, TrialRecord
from handsigns.tracking.base import (
    TRACKED_METRICS,
    TrackedSearch,
    metric_values,
    timestamped_epochs,
)

_EVENT_FILE = "events.out.tfevents.{start_time:010d}.handsigns"
_RECORD_HEADER = struct.Struct("<Q4x")
"""Header of a record: its length and a checksum of that; 4 bytes of checksum follow the record."""


class TensorboardFiles:
    """Tracker that writes event files to the folder `tensorboard`; see `Tracker`."""

    name = "tensorboard"

    def __init__(self, search: TrackedSearch) -> None:
        self._search = search
        self._log_dir = search.paths.tensorboard
        self._num_written: dict[str, int] = {}
        """Number of epochs in each trial's file, for the trials updated in this session."""
        self._finished: set[str] = set()
        """IDs of the trials whose end is in their file."""

    def open(self, records: Sequence[TrialRecord]) -> None:
        """Write the columns of the HPARAMS tab, unless they are there."""
        self._log_dir.mkdir(exist_ok=True)
        path = self._log_dir / _EVENT_FILE.format(start_time=0)
        if not path.exists():
            names = self._search.config.space
            config = hparams_config_pb(
                [HParam(n) for n in names], [Metric(n) for n in TRACKED_METRICS]
            )
            _append_events(
                path, [_version_event(0.0), Event(wall_time=time.time(), summary=config)]
            )

    def update(self, record: TrialRecord) -> None:
        """Write a trial's new epochs and its end."""
        trial_id = record.trial_id
        path = self._log_dir / trial_id / _EVENT_FILE.format(start_time=int(record.started_at))
        if trial_id not in self._num_written:
            self._recover(path, record)
        if trial_id in self._finished:
            return
        events = [] if path.exists() else self._start_events(record)
        for timestamp, metrics in list(timestamped_epochs(record))[self._num_written[trial_id] :]:
            values = [
                Summary.Value(tag=n, simple_value=v) for n, v in metric_values(metrics).items()
            ]
            summary = Summary(value=values)
            events.append(Event(wall_time=timestamp, step=metrics.epoch, summary=summary))
        if record.is_terminal:
            events.append(_session_end_event(record))
            self._finished.add(trial_id)
        path.parent.mkdir(exist_ok=True)
        _append_events(path, events)
        self._num_written[trial_id] = len(record.epochs)

    def flush(self) -> None:
        """Do nothing: every update is written at once."""

    def close(self, records: Sequence[TrialRecord]) -> None:
        """Do nothing: no file is kept open."""

    def _start_events(self, record: TrialRecord) -> list[Any]:
        start = hparams_pb(
            record.params, trial_id=record.trial_id, start_time_secs=record.started_at
        )
        return [
            _version_event(record.started_at),
            Event(wall_time=record.started_at, summary=start),
        ]

    def _recover(self, path: Path, record: TrialRecord) -> None:
        """Look up what a trial's file has; drop a partial record, or a file that disagrees."""
        self._num_written[record.trial_id] = 0
        if not path.exists():
            return
        events, end = _read_events(path)
        with path.open("rb+") as file:
            file.truncate(end)
        epochs = [e.summary for e in events if e.step]
        same = [_scalars(s) for s in epochs] == [
            [_to_float32(v) for v in metric_values(m).values()]
            for m in record.epochs[: len(epochs)]
        ]
        if len(events) < len(_START_EVENTS) or not same:
            path.unlink()
            return
        self._num_written[record.trial_id] = len(epochs)
        if any(v.tag == metadata.SESSION_END_INFO_TAG for e in events for v in e.summary.value):
            self._finished.add(record.trial_id)


_START_EVENTS = ("version", "parameters")
"""Kinds of the records at the start of a trial's file."""


def _append_events(path: Path, events: Sequence[Any]) -> None:
    if events:
        with path.open("ab") as file:
            writer = RecordWriter(file)
            for event in events:
                writer.write(event.SerializeToString())


def _read_events(path: Path) -> tuple[list[Any], int]:
    """Return the complete records of an event file, and the offset at which they end."""
    data = path.read_bytes()
    events, offset = [], 0
    while offset + _RECORD_HEADER.size <= len(data):
        (length,) = _RECORD_HEADER.unpack_from(data, offset)
        begin = offset + _RECORD_HEADER.size
        if begin + length + 4 > len(data):
            break
        events.append(Event.FromString(data[begin : begin + length]))
        offset = begin + length + 4
    return events, offset


def _scalars(summary: Any) -> list[float]:
    return [value.simple_value for value in summary.value]


def _to_float32(value: float) -> float:
    """Round to single precision, in which TensorBoard stores scalars."""
    single: float = struct.unpack("f", struct.pack("f", value))[0]
    return single


def _version_event(timestamp: float) -> Any:
    return Event(wall_time=timestamp, file_version="brain.Event:2")


def _session_end_event(record: TrialRecord) -> Any:
    status = (
        SessionStatus.STATUS_FAILURE if record.status in FAILURES else SessionStatus.STATUS_SUCCESS
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
