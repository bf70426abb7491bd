"""Arguments shared by several commands, and their conversion into requests."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from pathlib import Path

from handsigns.cli.values import folder, image_size, number_or_auto, positive_int
from handsigns.results.paths import DEFAULT_RESULTS_DIR
from handsigns.workflow.data import InputOptions
from handsigns.workflow.new_search import SETTING_KEYS, NewSearchRequest
from handsigns.workflow.report import REPORTS
from handsigns.workflow.trials import RunOptions

DEFAULT_SPACE = "quick"


def add_space(parser: ArgumentParser, default: str | None = None) -> None:
    """Add the search space as a positional argument, optional if it has a default."""
    parser.add_argument(
        "space",
        nargs="?" if default else None,
        default=default,
        metavar="SPACE",
        help="search-space file, or name of a preset"
        + (f" (default: {default})" if default else ""),
    )


def add_new_search(parser: ArgumentParser) -> None:
    """Add all options of a new search but its space."""
    add_search_settings(parser, "folder, zip or tar of images")
    locations = parser.add_argument_group("execution and results")
    add_ray(locations)
    add_results(locations)
    add_search_storage(parser)
    parser.add_argument(
        "--warm-start",
        metavar="NAME",
        help="start from the results of an earlier search, possibly with another space",
    )
    add_report(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the resolved search and exit")


def add_corrections(parser: ArgumentParser) -> None:
    """Add the options for tables of labels to correct."""
    corrections = parser.add_argument_group("corrections of labels (the files stay as they are)")
    corrections.add_argument(
        "--relabel",
        action="append",
        default=[],
        type=Path,
        metavar="CSV",
        help="images of train and val to give the class in the column suggested, such as those "
        "that `suspects` lists; repeat for more tables",
    )
    corrections.add_argument(
        "--exclude",
        action="append",
        default=[],
        type=Path,
        metavar="CSV",
        help="images of train and val to leave out; repeat for more tables",
    )


def add_search_settings(parser: ArgumentParser, data: str) -> None:
    """Add the settings of a new search, local or submitted; `data` is the help of --data."""
    parser.add_argument("--name", help="name of the search (default: SPACE with a timestamp)")
    add_data(parser, data)
    budget = parser.add_argument_group("budget (overrides the search space's)")
    budget.add_argument("--trials", type=int, metavar="N", help="number of trials")
    budget.add_argument("--max-epochs", type=int, metavar="N", help="maximum epochs per trial")
    budget.add_argument("--time-budget", metavar="T", help="time limit: 90s, 20m, 1h30m")
    budget.add_argument(
        "--target", type=float, metavar="A", help="stop at this validation score (e.g. 0.98)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the search")
    parser.add_argument(
        "--cpus-per-trial", type=number_or_auto, metavar="X", help="CPUs per trial, or auto"
    )
    parser.add_argument(
        "--gpus-per-trial",
        type=number_or_auto,
        metavar="X",
        help="GPUs per trial (e.g. 0.25), or auto",
    )
    add_overrides(parser)
    add_user_code(parser)
    add_trackers(parser, "--track")
    add_corrections(parser)


def add_overrides(parser: ArgumentParser) -> None:
    """Add the option that overrides values of the search space."""
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="K=V",
        help="override any value: --set space.dropout.high=0.7 --set scheduler.name=median",
    )


def search_request(options: Namespace) -> NewSearchRequest:
    """Build the request for a new search."""
    values = vars(options)
    return NewSearchRequest(
        space=options.space,
        settings={name: values.get(name) for name in SETTING_KEYS},
        overrides=options.overrides,
        track=options.track,
        results=options.results,
        name=options.name,
        data=options.data,
        size=options.size,
        skip_bad=options.skip_bad,
        relabel=values.get("relabel", ()),
        exclude=values.get("exclude", ()),
        warm_start=values.get("warm_start"),
        trust_user_code=options.trust_user_code,
    )


def add_name(parser: ArgumentParser) -> None:
    """Add arguments for the name and location of a stored search."""
    parser.add_argument("name", metavar="NAME", help="name of the search")
    add_results(parser)
    parser.add_argument(
        "--storage", metavar="URL", help="folder or URL to pull a copy of the search from"
    )


def add_results(parser: argparse._ActionsContainer) -> None:
    """Add the option for the folder of all searches."""
    parser.add_argument(
        "--results",
        type=folder,
        default=DEFAULT_RESULTS_DIR,
        metavar="DIR",
        help=f"folder of all searches (default: {DEFAULT_RESULTS_DIR})",
    )


def add_search_storage(parser: ArgumentParser, note: str = "") -> None:
    """Add the option for the storage of a new search; `note` ends its help."""
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="storage of checkpoints and a copy of the results, accessible to all nodes: a shared "
        f"folder, s3://bucket/runs, gs://bucket/runs{note}",
    )


def add_ray(parser: argparse._ActionsContainer) -> None:
    """Add the options of Ray."""
    add_address(parser)
    parser.add_argument(
        "--dashboard", action="store_true", help="start Ray's dashboard, on loopback"
    )


def add_address(parser: argparse._ActionsContainer) -> None:
    """Add the option for the address of a Ray cluster."""
    parser.add_argument("--address", metavar="A", help="address of a Ray cluster (default: local)")


def run_options(options: Namespace) -> RunOptions:
    """Build the run options; a second Ctrl-C ends the process."""
    return RunOptions(options.address, options.dashboard, exit_on_second_interrupt=True)


def add_report(parser: ArgumentParser) -> None:
    """Add the options of the report that a command writes at its end."""
    add_reports(parser)
    parser.add_argument("--no-report", action="store_true", help="write no report")


def add_reports(parser: ArgumentParser) -> None:
    """Add the option for the folder of all reports."""
    parser.add_argument(
        "--reports",
        type=folder,
        default=REPORTS,
        metavar="DIR",
        help=f"folder of all reports (default: {REPORTS})",
    )


def add_retraining(parser: ArgumentParser) -> None:
    """Add the options of retraining: number of seeds, and whether to keep an ensemble."""
    parser.add_argument(
        "--seeds", type=positive_int, default=2, metavar="N", help="models to retrain (default: 2)"
    )
    parser.add_argument(
        "--ensemble",
        action="store_true",
        help="keep the models of all seeds and average their probabilities, instead of keeping the "
        "one with the lowest training loss",
    )


def add_input_options(parser: ArgumentParser) -> None:
    """Add arguments for the inputs of an operation on a stored search: its data and user code."""
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="current folder of the images, if they were moved"
    )
    add_user_code(parser)


def input_options(options: Namespace) -> InputOptions:
    """Build the inputs of an operation on a stored search."""
    return InputOptions(options.data, options.trust_user_code)


def add_skip_bad(parser: argparse._ActionsContainer) -> None:
    """Add the option to skip files that cannot be used."""
    parser.add_argument("--skip-bad", action="store_true", help="skip files that cannot be used")


def add_group_by(parser: argparse._ActionsContainer) -> None:
    """Add the option for the groups that splits and folds keep together."""
    parser.add_argument(
        "--group-by",
        metavar="G",
        help="keep images together when splitting: folder, groups.csv, or a regular expression "
        "over file names",
    )


def add_format(parser: argparse._ActionsContainer) -> None:
    """Add the option for the output format."""
    parser.add_argument(
        "--format",
        choices=("table", "json"),
        default="table",
        help="output format (default: table)",
    )


def add_size(parser: argparse._ActionsContainer) -> None:
    """Add the option for the image size."""
    parser.add_argument(
        "--size",
        type=image_size,
        default=64,
        metavar="N",
        help="image size in pixels (default: 64)",
    )


def add_user_code(parser: ArgumentParser) -> None:
    """Add the flag that allows user code to run."""
    parser.add_argument(
        "--trust-user-code",
        action="store_true",
        help="run user code (functions named module:function); only for code that you trust",
    )


def add_trackers(parser: ArgumentParser, flag: str, *, required: bool = False) -> None:
    """Add the option for the experiment trackers."""
    parser.add_argument(
        flag,
        metavar="TOOLS",
        required=required,
        help="log every trial to tensorboard, mlflow or wandb (comma-separated; a server: "
        "mlflow=http://localhost:5000)",
    )


def add_data(parser: ArgumentParser, description: str) -> None:
    """Add the options for the images of a new search; `description` is the help of --data."""
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help=f"{description}: train|val|test/<class>/*.jpg, "
        "<class>/*.jpg, images with labels.csv, or {train,val,test}_signs/{label}_*.jpg "
        "(default: synthetic hands)",
    )
    add_size(data)
    add_skip_bad(data)
    add_group_by(data)
