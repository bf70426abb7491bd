"""The command `predict`: classify image files with the winner."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.cli.interruption import UNCHANGED, interruption
from handsigns.cli.options import add_name, add_user_code
from handsigns.cli.show import FAILED, show_table
from handsigns.console.format import percent
from handsigns.console.wrap import show_line
from handsigns.workflow.next_step import winner_step
from handsigns.workflow.predict import load_winner, predict
from handsigns.workflow.sync import synced

if TYPE_CHECKING:
    from handsigns.winner.predict import Prediction

SUMMARY = "classify image files with the winner"
EXAMPLE = "predict first hand1.jpg hand2.jpg --format json"

_FEW_CLASSES = 6
"""Of which all probabilities are shown; --format json has them always."""
_NEXT = 2
"""Of many classes, how many are shown beside the most probable one."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search, the images, and the form of the answer."""
    add_name(parser)
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="image files, or folders of them"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument(
        "--skip-bad", action="store_true", help="exit with 0 although some files are no images"
    )
    add_user_code(parser)


def run(options: Namespace) -> int:
    """Classify images and print a line, or a JSON object, for each; then those that are none."""
    with synced(options.results, options.name, options.storage) as paths:
        code = ["--own-code"] if options.own_code else []
        with interruption(UNCHANGED, paths.command("predict", *options.images, *code)):
            winner = load_winner(paths, trust_user_code=options.own_code)
            found = predict(winner, options.images)
    show = _show_json if options.format == "json" else _show_table
    show(found.good)
    for bad in found.bad:
        show_line(f"not classified: {bad.name}: {bad.reason}", sys.stderr)
    if options.format == "table":
        show_line(f"next: {winner_step(paths, 'predict')}", sys.stderr)
    return 0 if options.skip_bad or not found.bad else FAILED


def _show_json(predictions: Sequence[Prediction]) -> None:
    rows = [
        {"picture": str(p.picture), "label": p.label, "probabilities": p.probabilities}
        for p in predictions
    ]
    print(json.dumps(rows, indent=2))


def _show_table(predictions: Sequence[Prediction]) -> None:
    """All probabilities of a few classes; of many, the highest ones."""
    if not predictions:
        return
    names = list(predictions[0].probabilities)
    if len(names) <= _FEW_CLASSES:
        columns = ("picture", "label", *names)
        rows = [
            [str(p.picture), p.label, *(percent(p.probabilities[name], 1) for name in names)]
            for p in predictions
        ]
    else:
        columns = ("picture", "label", "probability", "then")
        rows = [[str(p.picture), p.label, *_highest(p)] for p in predictions]
    show_table(columns, rows, left=("picture", "label", "then"))


def _highest(prediction: Prediction) -> tuple[str, str]:
    (_, first), *others = prediction.ranking[: 1 + _NEXT]
    then = ", ".join(f"{name} {percent(share, 1)}" for name, share in others)
    return percent(first, 1), then
