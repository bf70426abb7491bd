"""Experiment trackers: which ones a search has, and the export of a search and its winner."""

from __future__ import annotations

import contextlib
import importlib.util
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.progress import progress
from handsigns.errors import ConfigError, ResultsError

if TYPE_CHECKING:
    from handsigns.config.search import StudyConfig
    from handsigns.results.store import StoredSearch
    from handsigns.tracking.base import TrackedSearch, Tracker


def tracking_overrides(chosen: str | None) -> list[str]:
    """Return the settings of a search space for `tensorboard,mlflow=http://localhost:5000`.

    Raises:
        ConfigError: a tracker is unknown.
    """
    if not chosen:
        return []

    from handsigns.tracking.registry import TOOLS

    overrides = []
    for part in chosen.split(","):
        tool, equals, address = part.strip().partition("=")
        if tool not in TOOLS:
            raise ConfigError(f"--track: {tool!r} is no tool to track with ({', '.join(TOOLS)})")
        overrides.append(f"tracking.{tool}={address if equals else 'true'}")
    return overrides


def export_to_trackers(search: StoredSearch, chosen: str) -> StudyConfig:
    """Export a search, as far as it has run, and its winner to experiment trackers (idempotent).

    Args:
        search: the search.
        chosen: the trackers, as of `tracking_overrides`.

    Returns:
        the search's settings, with these trackers alone.

    Raises:
        ConfigError: a tracker is unknown, or not installed.
        ResultsError: a tracker fails, or the search is being run.
    """
    from handsigns.config.load import load_study
    from handsigns.results.store import held
    from handsigns.tracking.base import TrackedSearch
    from handsigns.tracking.registry import TOOLS, make_tracker, refuse_missing
    from handsigns.tracking.worker import in_short

    none = [f"tracking.{tool}=false" for tool in TOOLS]
    study = load_study(search.paths.study, [*none, *tracking_overrides(chosen)])
    refuse_missing(study.tracking.tools)
    tracked = TrackedSearch(search.paths, study, search.data.info)
    with held(search.paths):
        for tool in study.tracking.tools:
            try:
                _update(make_tracker(tool, tracked), search)
            except Exception as error:  # a server that is down, a database of another version
                raise ResultsError(f"{tool} could not be told: {in_short(error)}") from error
        _publish(tracked, study.tracking.tools)
    return study


def publish_winner(search: StoredSearch) -> None:
    """Export the winner to the trackers of its search, and print what they did with it."""
    tools = search.study.tracking.tools
    if tools:
        from handsigns.tracking.base import TrackedSearch

        _publish(TrackedSearch(search.paths, search.study, search.data.info), tools)


def serve_dashboard(search: StoredSearch, port: int) -> None:
    """Show a search in optuna-dashboard, on this machine alone, until it is interrupted.

    Raises:
        ConfigError: optuna-dashboard is not installed, or the port is taken.
    """
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise ConfigError(
            "optuna-dashboard is not installed: pip install 'handsigns[optuna-dashboard]'"
        )

    from handsigns.reporting.optuna_dashboard import serve

    with _optuna_file(search) as file:
        serve(file, port, lambda url: print(f"{url}  (Ctrl-C ends it)", flush=True))


@contextlib.contextmanager
def _optuna_file(search: StoredSearch) -> Iterator[Path]:
    """Bring the search's Optuna file up to date; where that cannot be written, a temporary one.

    A search that is running updates its own.
    """
    from handsigns.results.store import held

    with tempfile.TemporaryDirectory(prefix="handsigns-") as scratch:
        file = search.paths.optuna
        try:
            with held(search.paths):
                _write_optuna_file(search, file)
        except (ResultsError, OSError):
            if not file.exists():
                file = Path(scratch) / file.name
                _write_optuna_file(search, file)
        yield file


def _write_optuna_file(search: StoredSearch, file: Path) -> None:
    from handsigns.tracking.base import TrackedSearch
    from handsigns.tracking.optuna_study import OptunaStudy

    tracked = TrackedSearch(search.paths, search.study, search.data.info)
    _update(OptunaStudy(tracked, file), search)


def _update(tracker: Tracker, search: StoredSearch) -> None:
    records = search.journal.records
    with progress(f"handing trials to {tracker.name}") as report:
        tracker.open(records)
        for number, record in enumerate(records, 1):
            tracker.update(record)
            report(number, len(records))
        tracker.flush()
        tracker.close(records)


def _publish(search: TrackedSearch, tools: Sequence[str]) -> None:
    if not search.paths.winner.is_dir() or not {"mlflow", "wandb"} & set(tools):
        return

    from handsigns.tracking.worker import in_short
    from handsigns.winner.publish import publish

    for tool in tools:
        try:
            done = publish(tool, search)
        except Exception as error:  # a tracker's failure, of whatever kind, keeps the winner
            again = search.paths.command("track", "--to", tool)
            done = f"{tool} has not got the winner: {in_short(error)}; try again: {again}"
        if done:
            print(done)
