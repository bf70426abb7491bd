"""Paths of all result files of a search."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from handsigns.console.program import command
from handsigns.errors import ResultsError

DEFAULT_RESULTS_DIR = Path("results")
"""Default folder of all searches."""
_NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class SearchPaths:
    """File paths of one search: ``results/<name>/…``."""

    root: Path

    @classmethod
    def for_name(cls, results: Path, name: str) -> SearchPaths:
        """Return the paths of the search `name`, which need not exist.

        Raises:
            ResultsError: the name is not a plain folder name.
        """
        if not _NAME_PATTERN.fullmatch(name) or name.endswith(".tmp"):
            _reject_path(results, name)
            raise ResultsError(
                f"{name!r} is not a valid search name: use up to 100 letters, digits, '.', '_' and "
                f"'-', starting with a letter or digit (--name my-search)"
            )
        return cls(results / name)

    @classmethod
    def existing(cls, results: Path, name: str) -> SearchPaths:
        """Return the paths of an existing search.

        Raises:
            ResultsError: there is no search of that name.
        """
        paths = cls.for_name(results, name)
        if not paths.search_config.is_file():
            found = ", ".join(other.root.name for other in cls.list_all(results)) or "none"
            raise ResultsError(f"no search named {name} in {results}; existing searches: {found}")
        return paths

    @classmethod
    def list_all(cls, results: Path) -> list[SearchPaths]:
        """Return all searches in a results folder, sorted by name."""
        found = (path.parent for path in sorted(results.glob("*/search.yaml")))
        # Hidden folders are of searches being created, or of killed processes.
        return [cls(folder) for folder in found if not folder.name.startswith(".")]

    @property
    def name(self) -> str:
        """Name of the search."""
        return self.root.name

    @property
    def search_config(self) -> Path:
        """Resolved search configuration."""
        return self.root / "search.yaml"

    @property
    def environment(self) -> Path:
        """Package versions, hardware and git state."""
        return self.root / "environment.json"

    @property
    def data(self) -> Path:
        """Source, fingerprint and image counts of the data."""
        return self.root / "data.json"

    @property
    def data_check(self) -> Path:
        """Check of the images at the start of the search."""
        return self.root / "data_check.json"

    @property
    def suspects(self) -> Path:
        """Images whose labels may be wrong, as the trials of the latest session judged them."""
        return self.root / "suspects.json"

    @property
    def journal(self) -> Path:
        """Journal of the search, an event per line; all tables are derived from it."""
        return self.root / "journal.jsonl"

    @property
    def trials(self) -> Path:
        """Table of trials."""
        return self.root / "trials.csv"

    @property
    def epochs(self) -> Path:
        """Table of epochs, a row for each epoch of each trial."""
        return self.root / "epochs.csv"

    @property
    def trials_parquet(self) -> Path:
        """Table of trials with typed columns, written at the end of each session."""
        return self.root / "trials.parquet"

    @property
    def epochs_parquet(self) -> Path:
        """Table of epochs with typed columns, written at the end of each session."""
        return self.root / "epochs.parquet"

    @property
    def leaderboard(self) -> Path:
        """Table of trials, best first."""
        return self.root / "leaderboard.csv"

    @property
    def ray_log(self) -> Path:
        """Output of Ray and the trials."""
        return self.root / "ray.log"

    @property
    def lock(self) -> Path:
        """Lock file of the process that runs the search."""
        return self.root / ".lock"

    @property
    def sync_state(self) -> Path:
        """Manifest of the copy in shared storage at the last sync; absent without a copy."""
        return self.root / ".sync_state.json"

    @property
    def user_code(self) -> Path:
        """Folder of the user modules that were run, in every version."""
        return user_code_dir(self.root)

    def command(self, verb: str, *arguments: str | Path, program_name: str | None = None) -> str:
        """Return a command line that acts on this search.

        Args:
            verb, arguments: the command, and the arguments after the name of the search.
            program_name: name of the program; None: as it was invoked.
        """
        root = self.root_search.root
        results = () if root.parent == DEFAULT_RESULTS_DIR else ("--results", root.parent)
        return command(verb, root.name, *arguments, *results, program_name=program_name)

    @property
    def resume_command(self) -> str:
        """Command that resumes the search."""
        return self.command("resume", *self.trust_options)

    @property
    def trust_options(self) -> tuple[str, ...]:
        """Option that allows commands to run the search's user code; empty if it has none."""
        return ("--trust-user-code",) if self.root_search.user_code.is_dir() else ()

    @property
    def reevaluation(self) -> ReevaluationPaths:
        """File paths of the re-evaluation of its top trials."""
        return ReevaluationPaths(self.root / "reevaluation")

    @property
    def winner(self) -> Path:
        """Folder of the retrained winner."""
        return self.root / "winner"

    @property
    def test_ledger(self) -> Path:
        """Ledger of evaluations on the test split, one per line."""
        return self.root / "test_ledger.jsonl"

    @property
    def decisions(self) -> Path:
        """Table of the scheduler's decisions."""
        return self.root / "decisions.csv"

    @property
    def warm_start(self) -> Path:
        """Trials and configurations taken over from an earlier search."""
        return self.root / "warm_start.json"

    @property
    def latencies(self) -> Path:
        """Table of the latencies of the space's networks, if they are limited."""
        return self.root / "latencies.csv"

    @property
    def optuna_journal(self) -> Path:
        """Optuna study of the search, in Optuna's journal format."""
        return self.root / "optuna.log"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard event files, one subfolder per trial."""
        return self.root / "tensorboard"

    @property
    def mlflow(self) -> Path:
        """Folder of MLflow's database and artifacts, if no server holds them."""
        return self.root / "mlflow"

    @property
    def wandb(self) -> Path:
        """Folder of Weights & Biases runs, one subfolder per trial."""
        return self.root / "wandb"

    @property
    def checkpoints(self) -> Path:
        """Folder of the trials' checkpoints, if no storage is configured."""
        return self.root / "checkpoints"

    @property
    def root_search(self) -> SearchPaths:
        """Paths of the search to which these belong."""
        return self


@dataclass(frozen=True)
class ReevaluationPaths(SearchPaths):
    """File paths of a re-evaluation, inside the folder of its search and laid out like one.

    Attributes:
        arguments: arguments of the command that resumes it, after the name of the search; empty:
            those that user code needs.
    """

    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name for messages."""
        return f"the re-evaluation of {self.root.parent.name}"

    @property
    def root_search(self) -> SearchPaths:
        """Paths of the search whose top trials are re-evaluated."""
        return SearchPaths(self.root.parent)

    @property
    def plan(self) -> Path:
        """Latest plan of the re-evaluation."""
        return self.root / "plan.json"

    @property
    def resume_command(self) -> str:
        """Command that resumes the re-evaluation."""
        return self.command("reevaluate", *(self.arguments or self.trust_options))


def _reject_path(results: Path, name: str) -> None:
    """Reject the path of a search given in place of its name.

    Raises:
        ResultsError: it is the path of a search, or of a file in one; names the search.
    """
    path = Path(name)
    if not _NAME_PATTERN.fullmatch(path.name) and path.parts[-1:] != ("..",):
        path = path.parent
    for folder in (path, *path.parents):
        if not SearchPaths(folder).search_config.is_file():
            continue
        root = folder.resolve()
        in_results = root.parent == results.resolve()
        option = "" if in_results else f" --results {shlex.quote(str(folder.parent))}"
        raise ResultsError(
            f"{name!r} is a path; give the name of the search instead: {root.name}{option}"
        )


def user_code_dir(folder: Path) -> Path:
    """Return the folder in which a search, or a winner, keeps user modules."""
    return folder / "user_code"
