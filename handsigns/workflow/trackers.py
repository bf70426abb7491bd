"""Experiment trackers: settings, and export of a search and its winner."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.progress import progress
from handsigns.errors import ConfigError, ResultsError
from handsigns.host import is_installed
from handsigns.workflow.sync import exclusive_access

if TYPE_CHECKING:
    from handsigns.config.search import SearchConfig
    from handsigns.results.store import StoredSearch
    from handsigns.tracking.base import TrackedSearch, Tracker


def tracking_overrides(chosen: str | None) -> list[str]:
    """Return the overrides of the search space for `tensorboard,mlflow=http://localhost:5000`.

    Raises:
        ConfigError: a tracker is unknown.
    """
    if not chosen:
        return []

    from handsigns.tracking.registry import TRACKERS

    overrides = []
    for part in chosen.split(","):
        tool, equals, address = part.strip().partition("=")
        if tool not in TRACKERS:
            raise ConfigError(
                f"{tool!r} is not an experiment tracker; use any of {', '.join(TRACKERS)}"
            )
        overrides.append(f"tracking.{tool}={address if equals else 'true'}")
    return overrides


def export_to_trackers(search: StoredSearch, chosen: str) -> SearchConfig:
    """Export a search, as far as it has run, and its winner to experiment trackers (idempotent).

    Args:
        search: the search.
        chosen: the trackers, see `tracking_overrides`.

    Returns:
        The settings of the search with only these trackers.

    Raises:
        ConfigError: no tracker is given, or one is unknown or not installed.
        ResultsError: a tracker fails, or the search is running.
        ResourceError: the storage of its copy cannot be read.
    """
    from handsigns.config.load import load_search_config
    from handsigns.tracking.background import summarize_error
    from handsigns.tracking.base import TrackedSearch
    from handsigns.tracking.registry import TRACKERS, ensure_installed, make_tracker

    disabled = [f"tracking.{tool}=false" for tool in TRACKERS]
    config = load_search_config(
        search.paths.search_config, [*disabled, *tracking_overrides(chosen)]
    )
    if not config.tracking.enabled:
        raise ConfigError(
            f"no experiment tracker is given; pass any of {', '.join(TRACKERS)} (--to mlflow)"
        )
    ensure_installed(config.tracking.enabled)
    tracked = TrackedSearch(search.paths, config, search.data.info)
    with exclusive_access(search.paths):
        for tool in config.tracking.enabled:
            try:
                _export_trials(make_tracker(tool, tracked), search)
            except Exception as error:  # such as a server that is down
                raise ResultsError(f"export to {tool} failed: {summarize_error(error)}") from error
        _publish(tracked, config.tracking.enabled)
    return config


def publish_winner(search: StoredSearch) -> None:
    """Export the winner to the trackers of its search, and print the outcome."""
    tools = search.config.tracking.enabled
    if tools:
        from handsigns.tracking.base import TrackedSearch

        _publish(TrackedSearch(search.paths, search.config, search.data.info), tools)


def serve_dashboard(search: StoredSearch, port: int) -> None:
    """Serve a search in optuna-dashboard, on loopback, until interrupted.

    Raises:
        ConfigError: optuna-dashboard is not installed, or the port is taken.
    """
    if not is_installed("optuna_dashboard"):
        raise ConfigError(
            "optuna-dashboard is not installed: pip install 'handsigns[optuna-dashboard]'"
        )

    from handsigns.reporting.optuna_dashboard import serve

    with _optuna_file(search) as file:
        serve(file, port, lambda url: print(f"{url}  (stop with Ctrl-C)", flush=True))


@contextlib.contextmanager
def _optuna_file(search: StoredSearch) -> Iterator[Path]:
    """Update the search's Optuna journal and yield its path; if not writable, a temporary one.

    A running search keeps its own journal up to date, also on another machine.
    """
    from handsigns.results.search_lock import lock_owner, search_lock

    with tempfile.TemporaryDirectory(prefix="handsigns-") as scratch:
        file = search.paths.optuna_journal
        with contextlib.suppress(ResultsError, OSError):
            if not lock_owner(search.paths):
                with search_lock(search.paths):
                    _write_optuna_file(search, file)
        if not file.exists():
            file = Path(scratch) / file.name
            _write_optuna_file(search, file)
        yield file


def _write_optuna_file(search: StoredSearch, file: Path) -> None:
    from handsigns.tracking.base import TrackedSearch
    from handsigns.tracking.optuna_study import OptunaStudy

    tracked = TrackedSearch(search.paths, search.config, search.data.info)
    _export_trials(OptunaStudy(tracked, file), search)


def _export_trials(tracker: Tracker, search: StoredSearch) -> None:
    records = search.journal.records
    with progress(f"exporting trials to {tracker.name}") as report:
        tracker.open(records)
        for number, record in enumerate(records, 1):
            tracker.update(record)
            report(number, len(records))
        tracker.flush()
        tracker.close(records)


def _publish(search: TrackedSearch, tools: Sequence[str]) -> None:
    if not search.paths.winner.is_dir() or not {"mlflow", "wandb"} & set(tools):
        return

    from handsigns.tracking.background import summarize_error
    from handsigns.winner.publish import publish

    for tool in tools:
        try:
            done = publish(tool, search)
        except Exception as error:  # no failure of a tracker may affect the winner
            done = (
                f"export of the winner to {tool} failed: {summarize_error(error)}; "
                f"retry: {search.export_command(tool)}"
            )
        if done:
            print(done)
