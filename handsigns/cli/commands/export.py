"""The command `export`: export the winner as one graph for other runtimes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from handsigns.cli.interrupts import report_interrupt
from handsigns.cli.options import add_input_options, add_name, input_options
from handsigns.cli.show_tables import show_graph
from handsigns.console.wrap import print_line
from handsigns.workflow.export import MAX_ACCURACY_DROP, ExportRequest, export
from handsigns.workflow.next_step import winner_step
from handsigns.workflow.searches import open_synced

SUMMARY = "export the winner as one graph, from images to probabilities, for other runtimes"
EXAMPLE = "export first --format onnx --int8"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search, and the format and path of the graph."""
    add_name(parser)
    parser.add_argument(
        "--format", choices=("onnx", "torch-export"), required=True, help="format of the graph"
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="quantise an ONNX graph to int8: a smaller file, calibrated on training images",
    )
    parser.add_argument(
        "--max-accuracy-drop",
        type=float,
        metavar="A",
        help="loss of validation accuracy above which --int8 writes nothing "
        f"(default: {MAX_ACCURACY_DROP:g})",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="output file (default: model.onnx, model.int8.onnx or model.pt2 in "
        "results/NAME/winner)",
    )
    add_input_options(parser)


def run(options: Namespace) -> int:
    """Export the winner of a search and print error, size and latency of the graph."""
    request = ExportRequest(
        form=options.format,
        inputs=input_options(options),
        out=options.out,
        int8=options.int8,
        max_accuracy_drop=options.max_accuracy_drop,
    )
    with open_synced(options.results, options.name, options.storage) as search:
        retry_command = search.paths.command("export", *request.arguments)
        with report_interrupt("no graph was written", retry_command):
            graph = export(search, request)
    print_line(
        f"maximum absolute difference of probabilities: {graph.max_abs_diff:.2g} "
        f"(tolerance: {graph.tolerance:g})"
    )
    show_graph(graph)
    print_line(f"written to {graph.path}")
    print_line(f"next: {winner_step(search.paths)}")
    return 0
