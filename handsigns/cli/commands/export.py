"""The command `export`: export the winner as one graph for other runtimes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from handsigns.cli.interrupts import report_interrupt
from handsigns.cli.options import add_input_options, add_name, input_options
from handsigns.console.wrap import print_line
from handsigns.workflow.export import export
from handsigns.workflow.next_step import winner_step
from handsigns.workflow.searches import open_synced

SUMMARY = "export the winner as one graph, from images to probabilities, for other runtimes"
EXAMPLE = "export first --format onnx"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search, and the format and path of the graph."""
    add_name(parser)
    parser.add_argument(
        "--format", choices=("onnx", "torch-export"), required=True, help="format of the graph"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="output file (default: results/NAME/winner/model.onnx or model.pt2)",
    )
    add_input_options(parser)


def run(options: Namespace) -> int:
    """Export the winner of a search and print the numerical error of the graph."""
    with open_synced(options.results, options.name, options.storage) as search:
        format_args = ["--format", options.format]
        out_args = [] if options.out is None else ["--out", options.out]
        retry_command = search.paths.command(
            "export", *format_args, *out_args, *input_options(options).arguments
        )
        with report_interrupt("no graph was written", retry_command):
            graph = export(search, options.format, options.out, input_options(options))
    print_line(
        f"maximum absolute difference of probabilities: {graph.max_abs_diff:.2g} "
        f"(tolerance: {graph.tolerance:g})"
    )
    print_line(f"written to {graph.path}")
    print_line(f"next: {winner_step(search.paths, 'export')}")
    return 0
