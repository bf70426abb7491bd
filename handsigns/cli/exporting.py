"""The command `export`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from handsigns.errors import ResultsError
from handsigns.workflow import flow

_PICTURES = 256
"""Of the validation split, on which a graph is compared with its model."""


def export(options: Namespace) -> int:
    """Write the winner as one graph."""
    stored = flow.open_named(options.results, options.name)
    if options.out is not None:
        _check_place(options.out)

    from handsigns.winner.export import FILES, TOLERANCE, check_extra, export_winner
    from handsigns.winner.model import load_card

    check_extra(options.format)
    load_card(stored.paths.winner)
    out = options.out or stored.paths.winner / FILES[options.format]
    pictures = flow.recorded_data(stored, options.data).val.images[:_PICTURES]
    print(f"making a graph and comparing it on {len(pictures)} validation pictures", flush=True)
    difference = export_winner(
        stored.paths.winner, options.format, out, pictures, allow_own_code=options.own_code
    )
    print(f"largest difference of a probability: {difference:.2g} (allowed: {TOLERANCE:g})")
    print(f"written to {out}")
    return 0


def _check_place(out: Path) -> None:
    """A file that the user named is not overwritten."""
    if out.exists():
        raise ResultsError(f"{out} exists already; name another file (--out) or remove it")
    if not out.parent.is_dir():
        raise ResultsError(f"no folder {out.parent} to write {out.name} to; make it first")
