"""Commands and options. Each command names a function, imported when it is called."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

PROGRAM = "tune_main.py"
DEFAULT_SPACE = "quick"

_EXAMPLES = f"""examples:
  python {PROGRAM} run                               search, retrain and test on drawn hands
  python {PROGRAM} run default --data my/photographs   the same on your own photographs
  python {PROGRAM} search default --set space.learning_rate.low=1e-4 --dry-run
  python {PROGRAM} leaderboard NAME --top 10
  python {PROGRAM} COMMAND --help                    the options of a command, with examples
"""

Parser = argparse.ArgumentParser
if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def make_parser() -> Parser:
    """The whole command line; parsed options have `command`, a function that takes them."""
    parser = Parser(
        prog=PROGRAM,
        description="Search hyperparameters for an image classifier: Ray Tune runs the trials, "
        "Optuna chooses them, ASHA stops the poor ones early; the winner is retrained and tested.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(commands)
    _add_search(commands)
    _add_submit(commands)
    _add_resume(commands)
    _add_list(commands)
    _add_watch(commands)
    _add_leaderboard(commands)
    _add_report(commands)
    _add_compare(commands)
    _add_reevaluate(commands)
    _add_retrain(commands)
    _add_test(commands)
    _add_predict(commands)
    _add_export(commands)
    _add_serve(commands)
    _add_replay(commands)
    _add_prepare(commands)
    _add_dashboard(commands)
    _add_track(commands)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: Parser, *_: object) -> None:
        from handsigns._version import __version__

        parser.exit(message=f"handsigns {__version__}\n")


def _command(function: str, module: str) -> Callable[[argparse.Namespace], int]:
    def call(options: argparse.Namespace) -> int:
        found = getattr(importlib.import_module(f"handsigns.cli.{module}"), function)
        return int(found(options))

    return call


def _new(
    commands: Commands,
    name: str,
    summary: str,
    example: str,
    function: str | None = None,
    module: str = "commands",
) -> Parser:
    """A command, carried out by the function of its name in a module of this package."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  python {PROGRAM} {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=_command(function or name, module))
    return parser


def _add_run(commands: Commands) -> None:
    parser = _new(
        commands,
        "run",
        "search, print the leaderboard, retrain the winner and test it, in one go",
        "run default --data my/photographs --time-budget 15m",
    )
    parser.add_argument(
        "space",
        nargs="?",
        default=DEFAULT_SPACE,
        metavar="SPACE",
        help=f"search-space file, or a name from search_spaces/ (default: {DEFAULT_SPACE})",
    )
    _add_search_options(parser)
    _add_seeds(parser)


def _add_search(commands: Commands) -> None:
    parser = _new(
        commands,
        "search",
        "search hyperparameters and print the leaderboard",
        "search default --data my/photographs --trials 40 --name first",
    )
    _add_space(parser)
    _add_search_options(parser)


def _add_submit(commands: Commands) -> None:
    parser = _new(
        commands,
        "submit",
        "hand a search, with its retraining and test, to a cluster; it goes on when this machine "
        "is off, and the results are fetched in the end",
        "submit full --address http://localhost:8265 --storage s3://bucket/runs --name first",
        module="submitting",
    )
    _add_space(parser)
    parser.add_argument(
        "--address",
        required=True,
        metavar="URL",
        help="of the cluster's dashboard, which takes jobs: http://HOST:8265",
    )
    _add_study_options(parser, "folder of photographs, as the cluster's head has it")
    _add_results(parser)
    _add_search_storage(parser)
    _add_seeds(parser)


def _add_space(parser: Parser) -> None:
    parser.add_argument(
        "space", metavar="SPACE", help="search-space file, or a name from search_spaces/"
    )


def _add_search_options(parser: Parser) -> None:
    _add_study_options(parser, "folder of photographs")
    place = parser.add_argument_group("where")
    _add_ray(place)
    _add_results(place)
    _add_search_storage(parser)
    parser.add_argument(
        "--warm-start",
        metavar="NAME",
        help="begin with what an earlier search found; its space may have been another",
    )
    _add_reports(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be searched, and end"
    )


def _add_search_storage(parser: Parser) -> None:
    _add_storage(
        parser,
        "where all nodes keep checkpoints and a copy of the results: a shared folder, "
        "s3://bucket/runs, gs://bucket/runs",
        begun=False,
    )


def _add_study_options(parser: Parser, data: str) -> None:
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
    _add_own_code(parser)
    _add_tools(parser, "--track")


def _add_resume(commands: Commands) -> None:
    parser = _new(
        commands,
        "resume",
        "go on with a search that was broken off, or give one more trials or time",
        "resume first --trials 80",
    )
    _add_name(parser)
    parser.add_argument("--trials", type=int, metavar="N", help="configurations in all")
    parser.add_argument("--time-budget", metavar="T", help="in all, with the time already used")
    _add_tools(parser, "--track")
    _add_reports(parser)
    _add_ray(parser)
    _add_moved_data(parser)
    parser.add_argument(
        "--accept-changed-data",
        action="store_true",
        help="go on although the pictures are not the same; unfinished trials start over on them",
    )
    parser.add_argument(
        "--accept-changed-code",
        action="store_true",
        help="go on although the program, its libraries or your own code are not the same",
    )
    _add_own_code(parser)


def _add_ray(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--address", metavar="A", help="Ray cluster to search on")
    parser.add_argument(
        "--dashboard", action="store_true", help="start Ray's dashboard, for this machine alone"
    )


def _add_list(commands: Commands) -> None:
    parser = _new(
        commands, "list", "list all searches in the results folder", "list", "list_searches"
    )
    _add_results(parser)


def _add_watch(commands: Commands) -> None:
    parser = _new(
        commands,
        "watch",
        "follow a search from another shell, without disturbing it; Ctrl-C leaves it running",
        "watch first",
        module="watching",
    )
    _add_name(parser)
    parser.add_argument("--once", action="store_true", help="show how it stands now, and end")


def _add_leaderboard(commands: Commands) -> None:
    parser = _new(
        commands, "leaderboard", "print a search's trials, best first", "leaderboard first --top 10"
    )
    _add_name(parser)
    parser.add_argument("--top", type=_positive, metavar="N", help="only the best N")
    parser.add_argument(
        "--format", choices=("table", "csv", "json", "md"), default="table", help="default: table"
    )


def _add_report(commands: Commands) -> None:
    parser = _new(
        commands,
        "report",
        "make a page of a search: the winner, what it cost, what was learned; also while it runs",
        "report first --follow",
        module="reporting",
    )
    _add_name(parser)
    _add_reports(parser, written=False)
    parser.add_argument(
        "--follow", action="store_true", help="write it anew until the search has ended"
    )


def _add_compare(commands: Commands) -> None:
    parser = _new(
        commands,
        "compare",
        "put searches side by side: best so far, cost, best configurations, spaces",
        "compare first second",
        module="reporting",
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="names of two or more searches")
    _add_results(parser)
    _add_reports(parser, written=False)


def _add_reports(parser: Parser, *, written: bool = True) -> None:
    """Where reports go, and for a command that ends with one, that it need not."""
    parser.add_argument(
        "--reports", type=Path, default=Path("reports"), metavar="DIR", help="default: reports"
    )
    if written:
        parser.add_argument("--no-report", action="store_true", help="write no report at the end")


def _add_reevaluate(commands: Commands) -> None:
    parser = _new(
        commands,
        "reevaluate",
        "train the best trials again with fresh seeds, to choose the winner without the search's "
        "luck; goes on where it was broken off",
        "reevaluate first --top 5 --seeds 3 --folds 5",
    )
    _add_name(parser)
    parser.add_argument("--top", type=_positive, metavar="K", help="how many of the best (3)")
    parser.add_argument("--seeds", type=_positive, metavar="N", help="fresh seeds for each (3)")
    parser.add_argument(
        "--folds",
        type=int,
        metavar="F",
        help="hold out each of F folds of training and validation pictures, for every seed; 0 "
        "keeps the validation split (0)",
    )
    parser.add_argument("--time-budget", metavar="T", help="10m; what all have by then is compared")
    parser.add_argument("--address", metavar="A", help="Ray cluster to train on")
    _add_reports(parser)
    _add_moved_data(parser)
    _add_own_code(parser)


def _add_retrain(commands: Commands) -> None:
    parser = _new(
        commands,
        "retrain",
        "train the best configuration again, on train and validation split together",
        "retrain first --seeds 5",
    )
    _add_name(parser)
    parser.add_argument("--trial", metavar="ID", help="another trial than the best")
    _add_seeds(parser)
    _add_reports(parser)
    _add_moved_data(parser)
    _add_own_code(parser)


def _add_test(commands: Commands) -> None:
    parser = _new(
        commands,
        "test",
        "test the retrained winner: the only command that opens the test split",
        "test first",
    )
    _add_name(parser)
    parser.add_argument(
        "--after-test",
        action="store_true",
        help="test a trial picked by hand after a test result was known; test.json will say so",
    )
    _add_reports(parser)
    _add_moved_data(parser)
    _add_own_code(parser)


def _add_predict(commands: Commands) -> None:
    parser = _new(
        commands,
        "predict",
        "classify picture files with the winner",
        "predict first hand1.jpg hand2.jpg --format json",
    )
    _add_name(parser)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="picture files")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    _add_own_code(parser)


def _add_export(commands: Commands) -> None:
    parser = _new(
        commands,
        "export",
        "write the winner as one graph, from pictures to probabilities, for other programs",
        "export first --format onnx",
        module="exporting",
    )
    _add_name(parser)
    parser.add_argument("--format", choices=("onnx", "torch-export"), required=True)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="default: results/NAME/winner/model.onnx or model.pt2",
    )
    _add_own_code(parser)
    _add_moved_data(parser)


def _add_serve(commands: Commands) -> None:
    parser = _new(
        commands,
        "serve",
        "answer requests with the winner, on this machine alone, until Ctrl-C",
        "serve first --port 8000",
        module="serving",
    )
    _add_name(parser)
    parser.add_argument("--port", type=_port, default=8000, metavar="N", help="default: 8000")
    _add_own_code(parser)


def _add_replay(commands: Commands) -> None:
    parser = _new(
        commands,
        "replay",
        "run a trial again and compare every epoch with the record; exit status 1 if they differ",
        "replay first 0007",
    )
    _add_name(parser)
    parser.add_argument("trial", metavar="TRIAL", help="a trial_id: 0007, or 0007-seed1")
    _add_moved_data(parser)
    _add_own_code(parser)


def _add_prepare(commands: Commands) -> None:
    parser = _new(
        commands,
        "prepare",
        "make a data set of small pictures from photographs of any size",
        "prepare SIGNS data/64x64_SIGNS",
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder of photographs")
    parser.add_argument("dest", type=Path, metavar="DEST", help="folder to make")
    parser.add_argument("--size", type=_pixels, default=64, metavar="N", help="pixels (64)")
    parser.add_argument("--seed", type=int, default=230, metavar="N", help="of the split (230)")
    _add_skip_bad(parser)


def _add_dashboard(commands: Commands) -> None:
    parser = _new(
        commands,
        "dashboard",
        "look at a search in optuna-dashboard, live while it runs; for this machine alone",
        "dashboard first --port 8080",
        module="tracking",
    )
    _add_name(parser)
    parser.add_argument(
        "--port", type=_port_or_free, default=8080, metavar="N", help="0 takes a free one (8080)"
    )


def _add_track(commands: Commands) -> None:
    parser = _new(
        commands,
        "track",
        "hand a search that was run, and its winner, to other tools; again does no harm",
        "track first --to tensorboard,mlflow",
        module="tracking",
    )
    _add_name(parser)
    _add_tools(parser, "--to", required=True)


def _add_tools(parser: Parser, flag: str, *, required: bool = False) -> None:
    parser.add_argument(
        flag,
        metavar="TOOLS",
        required=required,
        help="tell tensorboard, mlflow or wandb of every trial (with commas: several; "
        "mlflow=http://localhost:5000: a server)",
    )


def _add_name(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the search")
    _add_results(parser)
    _add_storage(parser, "folder or URL with a copy of it, where it is not here", begun=True)


def _add_results(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="default: results"
    )


def _add_storage(parser: Parser, text: str, *, begun: bool) -> None:
    """Where a search lies beside the results folder, which has it already if it was begun."""
    parser.set_defaults(begun=begun)
    parser.add_argument("--storage", metavar="PLACE", help=text)


def _add_seeds(parser: Parser) -> None:
    parser.add_argument(
        "--seeds", type=_positive, default=2, metavar="N", help="retrain so often (default: 2)"
    )
    parser.add_argument(
        "--ensemble",
        action="store_true",
        help="keep the models of all seeds as one that averages their probabilities, not the one "
        "with the lowest loss on the pictures it learnt from",
    )


def _add_data(parser: Parser, what: str) -> None:
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help=f"{what}: train|val|test/<class>/*.jpg or {{train,val,test}}_signs/{{label}}_*.jpg "
        f"(default: drawn hands)",
    )
    data.add_argument("--size", type=_pixels, default=64, metavar="N", help="pixels (64)")
    _add_skip_bad(data)


def _add_skip_bad(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--skip-bad", action="store_true", help="go on without bad files")


def _add_moved_data(parser: Parser) -> None:
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="where the pictures are now, if they were moved"
    )


def _add_own_code(parser: Parser) -> None:
    parser.add_argument(
        "--own-code",
        action="store_true",
        help="run the functions named module:function, which are code that is not ours; only for "
        "code that you trust",
    )


def _pixels(text: str) -> int:
    number = int(text)
    if not 16 <= number <= 1024:
        raise argparse.ArgumentTypeError(f"{number} is not between 16 and 1024")
    return number


def _port(text: str) -> int:
    number = _port_or_free(text)
    if number == 0:
        raise argparse.ArgumentTypeError("0 is not between 1 and 65535")
    return number


def _port_or_free(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65536:
        raise argparse.ArgumentTypeError(f"{number} is not between 0 and 65535")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number
