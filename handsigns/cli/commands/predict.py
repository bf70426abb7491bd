"""The command `predict`: classify image files with the winner."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.cli.options import add_name, add_user_code
from handsigns.cli.show import show_table
from handsigns.console.format import percent
from handsigns.workflow.predict import load_winner, predict
from handsigns.workflow.sync import synced

if TYPE_CHECKING:
    from handsigns.winner.predict import Prediction

SUMMARY = "classify picture files with the winner"
EXAMPLE = "predict first hand1.jpg hand2.jpg --format json"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search, the images, and the form of the answer."""
    add_name(parser)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="picture files")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    add_user_code(parser)


def run(options: Namespace) -> int:
    """Classify images and print a line, or a JSON object, for each."""
    with synced(options.results, options.name, options.storage) as paths:
        winner = load_winner(paths, trust_user_code=options.own_code)
        predictions = predict(winner, options.images)
    show = _show_json if options.format == "json" else _show_table
    show(predictions)
    return 0


def _show_json(predictions: Sequence[Prediction]) -> None:
    rows = [
        {"picture": str(p.picture), "label": p.label, "probabilities": p.probabilities}
        for p in predictions
    ]
    print(json.dumps(rows, indent=2))


def _show_table(predictions: Sequence[Prediction]) -> None:
    rows = [
        [str(p.picture), p.label, *(percent(share, 1) for share in p.probabilities.values())]
        for p in predictions
    ]
    columns = ("picture", "label", *predictions[0].probabilities)
    show_table(columns, rows, left=("picture", "label"))
