"""Commands and options about other tools: `--track`, `track`, `dashboard`, and where to look."""

from __future__ import annotations

import contextlib
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.progress import progress
from handsigns.console.sanitize import printable
from handsigns.errors import ConfigError, ResultsError
from handsigns.workflow.flow import open_named

if TYPE_CHECKING:
    from handsigns.config.search import StudyConfig
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import StoredSearch
    from handsigns.tracking.base import TrackedSearch, Tracker


def track_overrides(chosen: str | None) -> list[str]:
    """What `--track tensorboard,mlflow=http://localhost:5000` sets in the search space.

    Raises:
        ConfigError: a tool is unknown.
    """
    from handsigns.tracking.registry import TOOLS

    overrides = []
    for part in chosen.split(",") if chosen else ():
        tool, equals, place = part.strip().partition("=")
        if tool not in TOOLS:
            raise ConfigError(f"--track: {tool!r} is no tool to track with ({', '.join(TOOLS)})")
        overrides.append(f"tracking.{tool}={place if equals else 'true'}")
    return overrides


def track(options: Namespace) -> int:
    """Hand a search, as far as it has come, to other tools."""
    stored = open_named(options.results, options.name)

    from handsigns.config.load import load_study
    from handsigns.results.store import held
    from handsigns.tracking.base import TrackedSearch
    from handsigns.tracking.registry import make_tracker, refuse_missing
    from handsigns.tracking.worker import in_short

    study = load_study(stored.paths.study, track_overrides(options.to))
    tools = [name for name in study.tracking.tools if name in _names(options.to)]
    refuse_missing(tools)
    search = TrackedSearch(stored.paths, study, stored.data.info)
    with held(stored.paths):
        for tool in tools:
            try:
                _bring_up_to_date(make_tracker(tool, search), stored)
            except Exception as error:  # a server that is down, a database of another version
                raise ResultsError(f"{tool} could not be told: {in_short(error)}") from error
        _publish(search, tools)
    show_tools(stored.paths, study, tools)
    return 0


def publish_winner(stored: StoredSearch) -> None:
    """Hand the winner to the tools with which its search was tracked."""
    tools = stored.study.tracking.tools
    if tools:
        from handsigns.tracking.base import TrackedSearch

        _publish(TrackedSearch(stored.paths, stored.study, stored.data.info), tools)


def dashboard(options: Namespace) -> int:
    """Look at a search in optuna-dashboard, live while it runs."""
    import importlib.util

    stored = open_named(options.results, options.name)
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise ConfigError(
            "optuna-dashboard is not installed: pip install 'handsigns[optuna-dashboard]'"
        )

    from handsigns.report.optuna_dashboard import serve

    with _mirror(stored) as file, contextlib.suppress(KeyboardInterrupt):
        serve(file, options.port, lambda url: print(f"{url}  (Ctrl-C ends it)", flush=True))
    return 0


def show_tools(paths: SearchPaths, study: StudyConfig, tools: Sequence[str]) -> None:
    """Where to look at what the other tools were told."""
    from handsigns.tracking.base import mlflow_uri

    uri = mlflow_uri(paths, study)
    commands = {
        "tensorboard": f"tensorboard --logdir {paths.tensorboard}",
        "mlflow": uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}",
        "wandb": f"wandb sync {paths.wandb}/offline-run-*   (sends them to Weights & Biases)",
    }
    for tool in tools:
        print(f"{tool + ':':13}{printable(commands[tool])}")


def _names(chosen: str) -> set[str]:
    return {part.strip().partition("=")[0] for part in chosen.split(",")}


def _bring_up_to_date(tracker: Tracker, stored: StoredSearch) -> None:
    records = stored.journal.records
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
            told = publish(tool, search)
        except Exception as error:  # a tool's trouble, of whatever kind, does not undo the winner
            again = f"python tune_main.py track {search.name} --to {tool}"
            told = f"{tool} has not got the winner: {in_short(error)}; try again: {again}"
        if told:
            print(told)


@contextlib.contextmanager
def _mirror(stored: StoredSearch) -> Iterator[Path]:
    """The search's Optuna file, brought up to date; where it cannot be written, one elsewhere.

    A search that is running keeps its own up to date.
    """
    from handsigns.results.store import held

    with tempfile.TemporaryDirectory(prefix="handsigns-") as scratch:
        file = stored.paths.optuna
        try:
            with held(stored.paths):
                _write_mirror(stored, file)
        except (ResultsError, OSError):
            if not file.exists():
                file = Path(scratch) / file.name
                _write_mirror(stored, file)
        yield file


def _write_mirror(stored: StoredSearch, file: Path) -> None:
    from handsigns.tracking.base import TrackedSearch
    from handsigns.tracking.optuna_study import OptunaStudy

    search = TrackedSearch(stored.paths, stored.study, stored.data.info)
    _bring_up_to_date(OptunaStudy(search, file), stored)
