"""What the benchmarks share: options, aims, tables, the machine, and the pictures they use."""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handsigns.config.hyperparameters import Scalar, TrialConfig, trial_seed
from handsigns.io.json_file import write_json
from handsigns.results.environment import describe_environment
from handsigns.results.trial import TrialSpec

REPOSITORY = Path(__file__).resolve().parents[1]
TUNE = (sys.executable, str(REPOSITORY / "tune_main.py"))


@dataclass(frozen=True)
class Aim:
    """A figure that was measured and what it is held against.

    Attributes:
        name: what was measured.
        value: the figure.
        aim: the bound.
        met: whether it is kept.
    """

    name: str
    value: float
    aim: float
    met: bool


def at_least(name: str, value: float, aim: float) -> Aim:
    """A figure that is better when higher."""
    return Aim(name, value, aim, value >= aim)


def at_most(name: str, value: float, aim: float) -> Aim:
    """A figure that is better when lower."""
    return Aim(name, value, aim, value <= aim)


@dataclass(frozen=True)
class Table:
    """Rows of cells under a title."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        cells = [list(self.columns), *map(list, self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        cells.insert(1, ["-" * width for width in widths])
        lines = (
            " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in cells
        )
        return f"\n{self.title}\n\n" + "\n".join(f"| {line} |" for line in lines)


def options(description: str, *, repeats: int | None = None) -> argparse.ArgumentParser:
    """The options that every benchmark has.

    Args:
        description: what it measures.
        repeats: how often, unless the user says otherwise; None where nothing is repeated.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    if repeats is not None:
        parser.add_argument("--repeats", type=int, default=repeats, metavar="N", help="how often")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the aims there as well")
    parser.add_argument(
        "--smoke", action="store_true", help="only check that it runs: tiny sizes, aims not judged"
    )
    return parser


def parse(parser: argparse.ArgumentParser, **smoke: Any) -> argparse.Namespace:
    """Parse the command line.

    Args:
        parser: made by `options`.
        smoke: what takes the place of the defaults with ``--smoke``.
    """
    if "--smoke" in sys.argv:
        parser.set_defaults(**smoke)
    return parser.parse_args()


def finish(tables: Sequence[Table], aims: Sequence[Aim], chosen: argparse.Namespace) -> int:
    """Print the tables, the aims and the machine; returns the exit status.

    That is 0 even if an aim is missed: the measurement was made. A smoke run has no aims.
    """
    if chosen.smoke:
        aims = ()
    rows = [(a.name, f"{a.value:.3g}", f"{a.aim:g}", "yes" if a.met else "no") for a in aims]
    held_against = [Table("Aims", ("figure", "measured", "aim", "met"), rows)] if rows else []
    for table in (*tables, *held_against):
        print(table, flush=True)
    print(f"\n{machine()}")
    if (json_file := chosen.json) is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        content = {"aims": [dataclasses.asdict(aim) for aim in aims], "machine": machine()}
        write_json(json_file, content | {"tables": [dataclasses.asdict(t) for t in tables]})
    return 0


def machine() -> str:
    """This machine and the versions that matter, in a line."""
    about = describe_environment()
    packages = about["packages"]
    versions = ", ".join(f"{name} {packages[name]}" for name in ("torch", "ray", "optuna"))
    memory = f"{(about['memory_bytes'] or 0) / 2**30:.0f} GiB"
    where = f"{about['cpus']} cores ({about['processor']}), {memory}, {platform.system()}"
    return f"{where}; Python {about['python']}, {versions}; {time.strftime('%Y-%m-%d')}"


def middle(values: Sequence[float], form: str = "{:.3g}") -> str:
    """The median and, in brackets, the least and the greatest."""
    low, high = form.format(min(values)), form.format(max(values))
    return f"{form.format(statistics.median(values))} [{low} to {high}]"


def ratios(values: Sequence[float], bases: Sequence[float]) -> list[float]:
    """Each value over the base that was measured beside it."""
    return [value / base for value, base in zip(values, bases, strict=True)]


def tell(what: str) -> None:
    """Progress, on standard error."""
    print(f"[{time.strftime('%H:%M:%S')}] {what}", file=sys.stderr, flush=True)


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="handsigns-bench-") as folder:
        yield Path(folder)


def draw_pictures(folder: Path, counts: dict[str, int], size: int, suffix: str) -> None:
    """Write drawn hands as files, ``folder/SPLIT/CLASS/N.suffix``.

    Args:
        counts: pictures of each split; the six classes take turns.
    """
    from PIL import Image

    from handsigns.data.synthetic import draw_hands

    for seed, (split, count) in enumerate(counts.items()):
        for number, (image, label) in enumerate(zip(*draw_hands(count, seed, size), strict=True)):
            path = folder / split / str(label) / f"{number}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path, quality=95)


def events(journal: Path) -> list[dict[str, Any]]:
    """The whole lines of a log of events; none where there is no file yet."""
    if not journal.exists():
        return []
    lines = journal.read_bytes().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def epochs(journal: Path) -> list[dict[str, Any]]:
    """The epochs among the events of a log."""
    return [event for event in events(journal) if event["event"] == "epoch"]


def epoch_begin(event: dict[str, Any]) -> float:
    """When an epoch's training began, in seconds since the Unix epoch."""
    return float(event["time"] - event["metrics"]["epoch_seconds"])


def tune(
    *command: str,
    status: int = 0,
    look: Callable[[int], object] | None = None,
    every: float = 0.3,
) -> None:
    """Run one of our commands without a word.

    Args:
        status: with which it must exit.
        look: called with the id of its process, every so many seconds.

    Raises:
        RuntimeError: it exits with another status.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([*TUNE, *command], stdout=output, stderr=output)
        while look is not None and process.poll() is None:
            time.sleep(every)
            look(process.pid)
        if (found := process.wait()) != status:
            output.seek(0)
            printed = output.read().decode(errors="replace")
            raise RuntimeError(f"{command} exited with {found}, not {status}:\n{printed}")


def family(pid: int) -> set[int]:
    """A process and all that descend from it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # it has ended
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def resident(pid: int) -> float:
    """MiB of a process in memory; 0 where it has ended or the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def timed(work: Callable[[], object]) -> float:
    """Seconds that the work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def spec(trial_id: str, params: Mapping[str, Scalar], study_seed: int = 0) -> TrialSpec:
    """A trial as a sampler suggests it, for a journal that is written without a search."""
    config = TrialConfig.from_params(params)
    return TrialSpec(trial_id, dict(params), config, trial_seed(study_seed, config))
