"""The command `prepare`: make a data set of small images from photographs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from handsigns.cli.options import add_size, add_skip_bad
from handsigns.console.program import command
from handsigns.console.wrap import show_line
from handsigns.workflow.data import prepare_data

SUMMARY = "make a data set of small pictures from photographs of any size"
EXAMPLE = "prepare SIGNS data/64x64_SIGNS"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the two folders, and how images are made and split."""
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder of photographs")
    parser.add_argument("dest", type=Path, metavar="DEST", help="folder to make")
    add_size(parser)
    parser.add_argument("--seed", type=int, default=230, metavar="N", help="of the split (230)")
    add_skip_bad(parser)


def run(options: Namespace) -> int:
    """Make a data set and print what is in it."""
    done = prepare_data(
        options.source,
        options.dest,
        size=options.size,
        seed=options.seed,
        skip_bad=options.skip_bad,
    )
    for remark in done.notes:
        show_line(f"note: {remark}")
    counts = ", ".join(f"{name} {count}" for name, count in done.counts.items())
    show_line(f"{done.folder} is ready: {counts} ({done.made} made now)")
    size = () if options.size == 64 else ("--size", str(options.size))
    show_line(f"next: search on it: {command('run', 'default', '--data', done.folder, *size)}")
    return 0
