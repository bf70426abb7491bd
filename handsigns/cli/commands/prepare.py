"""The command `prepare`: create a data set of small images from photographs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from handsigns.cli.options import add_size, add_skip_bad
from handsigns.console.program import command
from handsigns.console.wrap import print_line
from handsigns.workflow.data import prepare_data

SUMMARY = "create a data set of small images from photographs of any size"
EXAMPLE = "prepare SIGNS data/64x64_SIGNS"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the two folders, the image size and the seed of the split."""
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="folder, zip or tar of photographs"
    )
    parser.add_argument("dest", type=Path, metavar="DEST", help="folder to create")
    add_size(parser)
    parser.add_argument(
        "--seed", type=int, default=230, metavar="N", help="seed of the split (default: 230)"
    )
    add_skip_bad(parser)


def run(options: Namespace) -> int:
    """Create a data set and print its counts."""
    result = prepare_data(
        options.source,
        options.dest,
        size=options.size,
        seed=options.seed,
        skip_bad=options.skip_bad,
    )
    for note in result.notes:
        print_line(f"note: {note}")
    counts = ", ".join(f"{name} {count}" for name, count in result.counts.items())
    print_line(f"{result.folder} is ready: {counts} ({result.num_written} new)")
    size = () if options.size == 64 else ("--size", str(options.size))
    print_line(f"next: search on it: {command('run', 'default', '--data', result.folder, *size)}")
    return 0
