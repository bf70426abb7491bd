"""The command `export`: write the winner as one graph for other programs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from handsigns.cli.interruption import interruption, source_options
from handsigns.cli.options import add_name, add_sources, sources
from handsigns.console.wrap import show_line
from handsigns.workflow.export import export
from handsigns.workflow.next_step import winner_step
from handsigns.workflow.searches import opened

SUMMARY = "write the winner as one graph, from pictures to probabilities, for other programs"
EXAMPLE = "export first --format onnx"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search, and the format and the location of the graph."""
    add_name(parser)
    parser.add_argument("--format", choices=("onnx", "torch-export"), required=True)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="default: results/NAME/winner/model.onnx or model.pt2",
    )
    add_sources(parser)


def run(options: Namespace) -> int:
    """Export the winner of a search and print how exact the graph is."""
    with opened(options.results, options.name, options.storage) as search:
        form = ["--format", options.format]
        place = [] if options.out is None else ["--out", options.out]
        again = search.paths.command("export", *form, *place, *source_options(sources(options)))
        with interruption("no graph was written", again):
            graph = export(search, options.format, options.out, sources(options))
    show_line(
        f"largest difference of a probability: {graph.difference:.2g} "
        f"(allowed: {graph.tolerance:g})"
    )
    show_line(f"written to {graph.path}")
    show_line(f"next: {winner_step(search.paths, 'export')}")
    return 0
