"""The command `predict`: classify image files with the winner."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.cli.interrupts import UNCHANGED, report_interrupt
from handsigns.cli.options import add_format, add_name, add_user_code
from handsigns.cli.show import FAILED, show_table
from handsigns.console.format import percent
from handsigns.console.wrap import print_line
from handsigns.workflow.next_step import winner_step
from handsigns.workflow.predict import load_winner, predict
from handsigns.workflow.sync import synced_search_dir

if TYPE_CHECKING:
    from handsigns.winner.predict import Prediction

SUMMARY = "classify image files with the winner"
EXAMPLE = "predict first hand1.jpg hand2.jpg --format json"

_MAX_TABLE_CLASSES = 6
"""Maximum number of classes for which the table has all probabilities, as --format json has."""
_NUM_RUNNERS_UP = 2
"""Number of classes shown beside the most probable one if there are many."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search, the images, and the output format."""
    add_name(parser)
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="image files or folders"
    )
    add_format(parser)
    parser.add_argument(
        "--skip-bad", action="store_true", help="exit with 0 even if some files are not images"
    )
    add_user_code(parser)


def run(options: Namespace) -> int:
    """Classify images and print one line or JSON object each; then the unreadable files."""
    with synced_search_dir(options.results, options.name, options.storage) as paths:
        code = ["--trust-user-code"] if options.trust_user_code else []
        with report_interrupt(UNCHANGED, paths.command("predict", *options.images, *code)):
            winner = load_winner(paths, trust_user_code=options.trust_user_code)
            found = predict(winner, options.images)
    show = _show_json if options.format == "json" else _show_table
    show(found.predictions)
    for note in found.notes:
        print_line(f"note: {note}", sys.stderr)
    for bad in found.unreadable:
        print_line(f"not classified: {bad.name}: {bad.reason}", sys.stderr)
    if options.format == "table":
        print_line(f"next: {winner_step(paths, 'predict')}", sys.stderr)
    return 0 if options.skip_bad or not found.unreadable else FAILED


def _show_json(predictions: Sequence[Prediction]) -> None:
    rows = [
        {"image": str(p.path), "label": p.label, "probabilities": p.probabilities}
        for p in predictions
    ]
    print(json.dumps(rows, indent=2))


def _show_table(predictions: Sequence[Prediction]) -> None:
    """Print all probabilities of a few classes, or the highest of many."""
    if not predictions:
        return
    names = list(predictions[0].probabilities)
    if len(names) <= _MAX_TABLE_CLASSES:
        # The name identifies a column, and a class may have that of the first two.
        headers = [f" {name}" if name in ("image", "label") else name for name in names]
        columns = ("image", "label", *headers)
        rows = [
            [str(p.path), p.label, *(percent(p.probabilities[name], 1) for name in names)]
            for p in predictions
        ]
    else:
        columns = ("image", "label", "probability", "runners-up")
        rows = [[str(p.path), p.label, *_highest(p)] for p in predictions]
    show_table(columns, rows, left=("image", "label", "runners-up"))


def _highest(prediction: Prediction) -> tuple[str, str]:
    (_, first), *others = prediction.ranking[: 1 + _NUM_RUNNERS_UP]
    runners_up = ", ".join(f"{name} {percent(share, 1)}" for name, share in others)
    return percent(first, 1), runners_up
