"""Every path of a search's results, built in one place."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from handsigns.console.program import command
from handsigns.errors import ResultsError

RESULTS = Path("results")
"""Where searches are kept unless the user names another folder."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class SearchPaths:
    """The files of one search: ``results/<name>/…``."""

    root: Path

    @classmethod
    def named(cls, results: Path, name: str) -> SearchPaths:
        """The folder of the search `name`, which need not exist.

        Raises:
            ResultsError: the name could be no plain folder name.
        """
        if not _NAME.fullmatch(name) or name.endswith(".tmp"):
            _refuse_path(results, name)
            raise ResultsError(
                f"{name!r} is no name for a search: use up to 100 letters, digits, '.', '_' and "
                f"'-', beginning with a letter or digit (--name my-search)"
            )
        return cls(results / name)

    @classmethod
    def existing(cls, results: Path, name: str) -> SearchPaths:
        """The folder of a search that was begun.

        Raises:
            ResultsError: there is none of that name.
        """
        paths = cls.named(results, name)
        if not paths.study.is_file():
            found = ", ".join(other.root.name for other in cls.all(results)) or "none yet"
            raise ResultsError(f"no search named {name} in {results}; there are: {found}")
        return paths

    @classmethod
    def all(cls, results: Path) -> list[SearchPaths]:
        """All searches in a results folder, by name."""
        return [cls(study.parent) for study in sorted(results.glob("*/study.yaml"))]

    @property
    def name(self) -> str:
        """The search's name."""
        return self.root.name

    @property
    def study(self) -> Path:
        """The resolved search space."""
        return self.root / "study.yaml"

    @property
    def environment(self) -> Path:
        """Versions, hardware and git state."""
        return self.root / "environment.json"

    @property
    def data(self) -> Path:
        """Source, fingerprint and counts of the data."""
        return self.root / "data.json"

    @property
    def journal(self) -> Path:
        """Every event of the search, a line each; what all tables are made from."""
        return self.root / "journal.jsonl"

    @property
    def trials(self) -> Path:
        """A row for each trial."""
        return self.root / "trials.csv"

    @property
    def epochs(self) -> Path:
        """A row for each epoch of each trial."""
        return self.root / "epochs.csv"

    @property
    def typed_trials(self) -> Path:
        """The table of trials with typed columns, once a session of the search has ended."""
        return self.root / "trials.parquet"

    @property
    def typed_epochs(self) -> Path:
        """The table of epochs likewise."""
        return self.root / "epochs.parquet"

    @property
    def leaderboard(self) -> Path:
        """The trials, best first."""
        return self.root / "leaderboard.csv"

    @property
    def log(self) -> Path:
        """What Ray and the trials print."""
        return self.root / "ray.log"

    @property
    def lock(self) -> Path:
        """Held by the process that runs the search."""
        return self.root / ".lock"

    @property
    def copied(self) -> Path:
        """What its copy in a storage was like last; there is none where there is no copy."""
        return self.root / ".storage.json"

    @property
    def own_code(self) -> Path:
        """The user's own modules that were run, each version."""
        return own_code(self.root)

    def command(self, verb: str, *arguments: str | Path, form: str | None = None) -> str:
        """Return the command line that does something with this search.

        Args:
            verb, arguments: the command, and what follows the name of the search.
            form: how the program is named; None: as it was invoked.
        """
        root = self.whole.root
        results = () if root.parent == RESULTS else ("--results", root.parent)
        return command(verb, root.name, *arguments, *results, form=form)

    @property
    def go_on(self) -> str:
        """The command that resumes it."""
        return self.command("resume", *self.trust)

    @property
    def trust(self) -> tuple[str, ...]:
        """The option without which no command runs its user code, where it has any."""
        return ("--own-code",) if self.whole.own_code.is_dir() else ()

    @property
    def repeats(self) -> RepeatPaths:
        """The files of the re-evaluation of its best trials."""
        return RepeatPaths(self.root / "reevaluation")

    @property
    def winner(self) -> Path:
        """The retrained winner."""
        return self.root / "winner"

    @property
    def test_ledger(self) -> Path:
        """Each opening of the test split, a line each."""
        return self.root / "test_ledger.jsonl"

    @property
    def decisions(self) -> Path:
        """A row for each decision of the scheduler."""
        return self.root / "decisions.csv"

    @property
    def warm_start(self) -> Path:
        """What an earlier search taught this one before it began."""
        return self.root / "warm_start.json"

    @property
    def optuna(self) -> Path:
        """The search as an Optuna study, in Optuna's own journal format."""
        return self.root / "optuna.log"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files, a folder for each trial."""
        return self.root / "tensorboard"

    @property
    def mlflow(self) -> Path:
        """MLflow's database and artifacts, where no server has them."""
        return self.root / "mlflow"

    @property
    def wandb(self) -> Path:
        """Weights & Biases' runs, a folder for each trial."""
        return self.root / "wandb"

    @property
    def checkpoints(self) -> Path:
        """Folder of the trials' checkpoints, where no storage was named."""
        return self.root / "checkpoints"

    @property
    def whole(self) -> SearchPaths:
        """The search that it is part of: itself."""
        return self


@dataclass(frozen=True)
class RepeatPaths(SearchPaths):
    """The files of a re-evaluation, in the folder of its search; they are those of a search."""

    @property
    def name(self) -> str:
        """For the user."""
        return f"the re-evaluation of {self.root.parent.name}"

    @property
    def whole(self) -> SearchPaths:
        """The search whose best trials are trained again."""
        return SearchPaths(self.root.parent)

    @property
    def plan(self) -> Path:
        """What was asked for last."""
        return self.root / "plan.json"

    @property
    def go_on(self) -> str:
        """The command that resumes it."""
        return self.command("reevaluate", *self.trust)


def _refuse_path(results: Path, name: str) -> None:
    """Refuse a path where a name is wanted, with the name to use.

    Raises:
        ResultsError: it is the path of a search, or of a file within one.
    """
    path = Path(name)
    if not _NAME.fullmatch(path.name) and path.parts[-1:] != ("..",):
        path = path.parent
    for folder in (path, *path.parents):
        if not SearchPaths(folder).study.is_file():
            continue
        root = folder.resolve()
        there = root.parent == results.resolve()
        where = "" if there else f" --results {shlex.quote(str(folder.parent))}"
        raise ResultsError(
            f"{name!r} is a path; a search is called by its name: {root.name}{where}"
        )


def own_code(folder: Path) -> Path:
    """Where a search, or a winner, keeps the user's own modules."""
    return folder / "own_code"
