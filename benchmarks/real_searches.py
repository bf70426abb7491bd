"""Real searches on the synthetic hands of which `curves.py` recorded curves, for comparison."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from curves import DATA_SETS
from harness import REPOSITORY, log_progress, run_cli, temporary_folder

from handsigns.results.events import EpochReported, Event, SessionEnded, read_events

DATA = "hands24"
SPACE = REPOSITORY / "search_spaces" / "default.yaml"
NUM_TRIALS = 100_000
"""Number of trials that no search reaches."""
SEED_STEP = 1000
"""Difference between the seeds of two searches, between which simulated ones have theirs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `real_searches`."""
    parser.add_argument("--seconds", type=float, default=300.0, help="duration of a search")
    parser.add_argument("--repeats", type=int, default=5, help="real searches")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--results", type=Path, help="folder that keeps the searches, or has them (default: none)"
    )


@contextlib.contextmanager
def real_searches(args: argparse.Namespace) -> Iterator[dict[Path, list[Event]]]:
    """Run the searches of the space `default` that are not in --results yet.

    Yields:
        The events of each search, by its folder.
    """
    with contextlib.ExitStack() as stack:
        folder = args.results or stack.enter_context(temporary_folder())
        images = stack.enter_context(temporary_folder()) / "hands"
        DATA_SETS[DATA].prepare(images, None)
        searches = {}
        for seed in range(args.repeats):
            search = folder / f"real-{args.workers}x{args.seconds:g}s-{seed}"
            if not search.exists():
                log_progress(f"real search {seed + 1} of {args.repeats}")
                _search(search, images, SEED_STEP * (seed + 1), args)
            events = read_events(search / "journal.jsonl")
            if not isinstance(events[-1], SessionEnded):
                raise SystemExit(f"{search} is incomplete; delete it, and it is run again")
            searches[search] = events
        yield searches


def _search(folder: Path, images: Path, seed: int, args: argparse.Namespace) -> None:
    settings = (
        f"resources.max_concurrent_trials={args.workers}",
        f"budget.trials={NUM_TRIALS}",
        "reevaluation.top=0",
    )
    run_cli(
        *("search", str(SPACE), "--data", str(images), "--size", str(DATA_SETS[DATA].size)),
        *("--seed", str(seed), "--time-budget", f"{args.seconds:g}s"),
        *("--name", folder.name, "--results", str(folder.parent), "--no-report"),
        *(word for setting in settings for word in ("--set", setting)),
    )


def timed_epochs(events: Sequence[Event]) -> list[tuple[float, EpochReported]]:
    """Return the epochs of a search with the seconds from the start of the first, by time."""
    epochs = [event for event in events if isinstance(event, EpochReported)]
    start = min(epoch.time - epoch.metrics.epoch_seconds for epoch in epochs)
    return [(epoch.time - start, epoch) for epoch in epochs]
