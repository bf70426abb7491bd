"""Arguments that several commands share, and what is made of them."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from pathlib import Path

from handsigns.results.paths import RESULTS
from handsigns.workflow.data import Sources
from handsigns.workflow.new_search import SETTINGS, NewSearchRequest
from handsigns.workflow.report import REPORTS
from handsigns.workflow.trials import RunOptions

DEFAULT_SPACE = "quick"


def add_space(parser: ArgumentParser, default: str | None = None) -> None:
    """Add the search space as a positional argument, which may be left out if it has a default."""
    parser.add_argument(
        "space",
        nargs="?" if default else None,
        default=default,
        metavar="SPACE",
        help="search-space file, or a name from search_spaces/"
        + (f" (default: {default})" if default else ""),
    )


def add_new_search(parser: ArgumentParser) -> None:
    """Add what a new search on this machine, or from it, is told beside its space."""
    add_search_settings(parser, "folder of photographs")
    where = parser.add_argument_group("where")
    add_ray(where)
    add_results(where)
    add_search_storage(parser)
    parser.add_argument(
        "--warm-start",
        metavar="NAME",
        help="begin with what an earlier search found; its space may have been another",
    )
    add_report(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be searched, and end"
    )


def add_search_settings(parser: ArgumentParser, data: str) -> None:
    """Add what a new search is told wherever it runs; `data` says what --data names."""
    parser.add_argument("--name", help="name of the search (default: the space's, with the time)")
    _add_data(parser, data)
    budget = parser.add_argument_group("budget (each overrides the search space's)")
    budget.add_argument("--trials", type=int, metavar="N", help="configurations to try")
    budget.add_argument("--max-epochs", type=int, metavar="N", help="epochs of a whole trial")
    budget.add_argument("--time-budget", metavar="T", help="of the search: 90s, 20m, 1h30m")
    budget.add_argument(
        "--target", type=float, metavar="A", help="end at this validation accuracy (0.98)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of the search")
    parser.add_argument("--cpus-per-trial", metavar="X", help="CPUs of a trial, or auto")
    parser.add_argument("--gpus-per-trial", metavar="X", help="GPUs of a trial (0.25), or auto")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="K=V",
        help="override any value: --set space.dropout.high=0.7 --set scheduler.name=median",
    )
    add_user_code(parser)
    add_trackers(parser, "--track")


def search_request(options: Namespace) -> NewSearchRequest:
    """Return the new search that is asked for."""
    values = vars(options)
    return NewSearchRequest(
        space=options.space,
        settings={name: values.get(name) for name in SETTINGS},
        overrides=options.overrides,
        track=options.track,
        results=options.results,
        name=options.name,
        data=options.data,
        size=options.size,
        skip_bad=options.skip_bad,
        warm_start=values.get("warm_start"),
        trust_user_code=options.own_code,
    )


def add_name(parser: ArgumentParser) -> None:
    """Add the name of a stored search, and where it is."""
    parser.add_argument("name", metavar="NAME", help="name of the search")
    add_results(parser)
    parser.add_argument(
        "--storage",
        metavar="PLACE",
        help="folder or URL with a copy of it, where it is not here",
    )


def add_results(parser: argparse._ActionsContainer) -> None:
    """Add the folder of all searches."""
    parser.add_argument(
        "--results", type=Path, default=RESULTS, metavar="DIR", help=f"default: {RESULTS}"
    )


def add_search_storage(parser: ArgumentParser) -> None:
    """Add the storage of a new search."""
    parser.add_argument(
        "--storage",
        metavar="PLACE",
        help="where all nodes keep checkpoints and a copy of the results: a shared folder, "
        "s3://bucket/runs, gs://bucket/runs",
    )


def add_ray(parser: argparse._ActionsContainer) -> None:
    """Add where trials run."""
    parser.add_argument("--address", metavar="A", help="Ray cluster to search on")
    parser.add_argument(
        "--dashboard", action="store_true", help="start Ray's dashboard, for this machine alone"
    )


def run_options(options: Namespace) -> RunOptions:
    """Return where trials run; a second Ctrl-C ends the whole command."""
    return RunOptions(options.address, options.dashboard, exit_at_second_interrupt=True)


def add_report(parser: ArgumentParser) -> None:
    """Add where the report at the end of a command goes, and that there need not be one."""
    add_reports(parser)
    parser.add_argument("--no-report", action="store_true", help="write no report at the end")


def add_reports(parser: ArgumentParser) -> None:
    """Add the folder of all reports."""
    parser.add_argument(
        "--reports", type=Path, default=REPORTS, metavar="DIR", help=f"default: {REPORTS}"
    )


def add_retraining(parser: ArgumentParser) -> None:
    """Add how often a winner is trained, and what is kept of that."""
    parser.add_argument(
        "--seeds", type=positive, default=2, metavar="N", help="retrain so often (default: 2)"
    )
    parser.add_argument(
        "--ensemble",
        action="store_true",
        help="keep the models of all seeds as one that averages their probabilities, not the one "
        "with the lowest loss on the pictures it learnt from",
    )


def add_sources(parser: ArgumentParser) -> None:
    """Add what a stored search is used with: its data and user code."""
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="where the pictures are now, if they were moved"
    )
    add_user_code(parser)


def sources(options: Namespace) -> Sources:
    """Return what a stored search is used with."""
    return Sources(options.data, options.own_code)


def add_skip_bad(parser: argparse._ActionsContainer) -> None:
    """Add what is done about files that cannot be used."""
    parser.add_argument("--skip-bad", action="store_true", help="go on without bad files")


def add_size(parser: argparse._ActionsContainer) -> None:
    """Add the size of images."""
    parser.add_argument("--size", type=_pixels, default=64, metavar="N", help="pixels (64)")


def add_user_code(parser: ArgumentParser) -> None:
    """Add the flag without which no user code runs."""
    parser.add_argument(
        "--own-code",
        action="store_true",
        help="run the functions named module:function, which are code that is not ours; only for "
        "code that you trust",
    )


def add_trackers(parser: ArgumentParser, flag: str, *, required: bool = False) -> None:
    """Add the experiment trackers."""
    parser.add_argument(
        flag,
        metavar="TOOLS",
        required=required,
        help="tell tensorboard, mlflow or wandb of every trial (with commas: several; "
        "mlflow=http://localhost:5000: a server)",
    )


def _add_data(parser: ArgumentParser, what: str) -> None:
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help=f"{what}: train|val|test/<class>/*.jpg or {{train,val,test}}_signs/{{label}}_*.jpg "
        f"(default: drawn hands)",
    )
    add_size(data)
    add_skip_bad(data)


def _pixels(text: str) -> int:
    number = int(text)
    if not 16 <= number <= 1024:
        raise argparse.ArgumentTypeError(f"{number} is not between 16 and 1024")
    return number


def port(text: str) -> int:
    """Parse the number of a port."""
    number = port_or_free(text)
    if number == 0:
        raise argparse.ArgumentTypeError("0 is not between 1 and 65535")
    return number


def port_or_free(text: str) -> int:
    """Parse the number of a port; 0 is for a free one."""
    number = int(text)
    if not 0 <= number < 65536:
        raise argparse.ArgumentTypeError(f"{number} is not between 0 and 65535")
    return number


def positive(text: str) -> int:
    """Parse a number that is at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number
