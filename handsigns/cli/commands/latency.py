"""The command `latency`: measure the latency of a search space's networks."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path

from handsigns.cli.interrupts import report_interrupt
from handsigns.cli.options import add_data, add_overrides, add_space, add_user_code
from handsigns.console.format import pluralize
from handsigns.console.wrap import print_line
from handsigns.results.paths import DEFAULT_RESULTS_DIR
from handsigns.workflow.latency import export_space, measure_space
from handsigns.workflow.new_search import NewSearchRequest

SUMMARY = (
    "measure the latency of a search space's networks, untrained, on this machine, or export them "
    "to measure it on another device, for the limit latency_ms"
)
EXAMPLE = "latency my_space.yaml --data my/photographs --export networks"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the space, the images and where to write."""
    add_space(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--out",
        type=Path,
        default=Path("device.csv"),
        metavar="FILE",
        help="measure on this machine and write this table (default: device.csv); a search uses it "
        "by limits.latency_table",
    )
    where.add_argument(
        "--export",
        type=Path,
        metavar="DIR",
        help="write the networks to this new folder instead; copied to a device with onnxruntime, "
        "python DIR/measure.py --out device.csv measures them there",
    )
    add_data(parser, "folder, zip or tar of images, which gives the number of classes")
    add_overrides(parser)
    add_user_code(parser)


def run(options: Namespace) -> int:
    """Measure the networks, or export them."""
    request = NewSearchRequest(
        space=options.space,
        settings={"group_by": options.group_by},
        results=DEFAULT_RESULTS_DIR,
        overrides=options.overrides,
        data=options.data,
        size=options.size,
        skip_bad=options.skip_bad,
        trust_user_code=options.trust_user_code,
    )
    with report_interrupt("no table was written"):
        if options.export is not None:
            count = export_space(request, options.export)
            script = shlex.quote(f"{options.export.name}/measure.py")
            print_line(
                f"{pluralize(count, 'network')} written to {options.export}; copy the folder to "
                f"the device and run there: python {script} --out device.csv"
            )
            return 0
        table = measure_space(request, options.out)
    times = table.values()
    print_line(
        f"{pluralize(len(table), 'network')}, median {min(times):.3g} to {max(times):.3g} ms for "
        f"an image on one CPU thread; written to {options.out}. To use it: --set "
        f"limits.latency_ms=MS --set {shlex.quote(f'limits.latency_table={options.out}')}"
    )
    return 0
