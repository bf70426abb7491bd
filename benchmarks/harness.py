"""Shared parts of the benchmarks: options, targets, tables, machine description and images."""

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
from handsigns.stats.mcnemar import holm

REPOSITORY = Path(__file__).resolve().parents[1]
CLI = (sys.executable, str(REPOSITORY / "tune_main.py"))


@dataclass(frozen=True)
class Target:
    """Performance target: a measured value and its bound.

    Attributes:
        name: name of the quantity.
        value: measured value.
        bound: required value.
        met: whether the value keeps the bound.
    """

    name: str
    value: float
    bound: float
    met: bool


def at_least(name: str, value: float, bound: float) -> Target:
    """Return a target with a lower bound."""
    return Target(name, value, bound, value >= bound)


def at_most(name: str, value: float, bound: float) -> Target:
    """Return a target with an upper bound."""
    return Target(name, value, bound, value <= bound)


@dataclass(frozen=True)
class Table:
    """Table with a title, column names and rows of cells."""

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


def make_parser(description: str, *, repeats: int | None = None) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks have.

    Args:
        description: description of the benchmark.
        repeats: default number of repetitions; None for a benchmark without any.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    if repeats is not None:
        parser.add_argument("--repeats", type=int, default=repeats, metavar="N", help="repetitions")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write tables and targets to this file"
    )
    parser.add_argument(
        "--smoke", action="store_true", help="only check that it runs: tiny sizes, no targets"
    )
    return parser


def parse(parser: argparse.ArgumentParser, **smoke: Any) -> argparse.Namespace:
    """Parse the command line.

    Args:
        parser: parser returned by `make_parser`.
        **smoke: defaults of a run with ``--smoke``.
    """
    if "--smoke" in sys.argv:
        parser.set_defaults(**smoke)
    return parser.parse_args()


def finish(tables: Sequence[Table], targets: Sequence[Target], args: argparse.Namespace) -> int:
    """Print the tables, the targets and the machine; return the exit status.

    The status is 0 even if a target is missed. A smoke run has no targets.
    """
    if args.smoke:
        targets = ()
    rows = [(t.name, f"{t.value:.3g}", f"{t.bound:g}", "yes" if t.met else "no") for t in targets]
    comparison = [Table("Targets", ("target", "measured", "bound", "met"), rows)] if rows else []
    for table in (*tables, *comparison):
        print(table, flush=True)
    print(f"\n{machine()}")
    if (json_file := args.json) is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        content = {"targets": [dataclasses.asdict(t) for t in targets], "machine": machine()}
        write_json(json_file, content | {"tables": [dataclasses.asdict(t) for t in tables]})
    return 0


def machine() -> str:
    """Return a one-line description of this machine, the versions and the date."""
    about = describe_environment()
    packages = about["packages"]
    versions = ", ".join(f"{name} {packages[name]}" for name in ("torch", "ray", "optuna"))
    memory = f"{(about['memory_bytes'] or 0) / 2**30:.0f} GiB"
    hardware = f"{about['cpus']} cores ({about['processor']}), {memory}, {platform.system()}"
    return f"{hardware}; Python {about['python']}, {versions}; {time.strftime('%Y-%m-%d')}"


def format_median(values: Sequence[float], spec: str = "{:.3g}") -> str:
    """Format the median and, in brackets, the minimum and the maximum."""
    low, high = spec.format(min(values)), spec.format(max(values))
    return f"{spec.format(statistics.median(values))} [{low} to {high}]"


def ratios(values: Sequence[float], baselines: Sequence[float]) -> list[float]:
    """Divide each value by the baseline of the same repetition."""
    return [value / baseline for value, baseline in zip(values, baselines, strict=True)]


def paired_p_values(
    ours: Sequence[float], others: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    """Return p-values of the paired differences of methods from ours, with Holm's correction.

    Wilcoxon's signed-rank test; a method without any difference has no p-value.
    """
    from scipy.stats import wilcoxon

    raw = {
        name: float(wilcoxon(ours, values).pvalue)
        for name, values in others.items()
        if list(values) != list(ours)
    }
    return dict(zip(raw, holm([*raw.values()]), strict=True))


def log_progress(message: str) -> None:
    """Print a progress message with the time to standard error."""
    print(f"[{time.strftime('%H:%M:%S')}] {message}", file=sys.stderr, flush=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Create a temporary folder, and remove it at the end."""
    # A process that was just killed may still write; that must not cost the figures.
    with tempfile.TemporaryDirectory(
        prefix="handsigns-bench-", ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def write_synthetic_images(folder: Path, counts: dict[str, int], size: int, suffix: str) -> None:
    """Write synthetic hands as files, ``folder/SPLIT/CLASS/N.suffix``.

    Args:
        folder: root folder of the splits.
        counts: number of images of each split, spread over the six classes.
        size: height and width of the images in pixels.
        suffix: file suffix, which determines the format.
    """
    from PIL import Image

    from handsigns.data.synthetic import generate_hands

    for seed, (split, count) in enumerate(counts.items()):
        for number, (image, label) in enumerate(
            zip(*generate_hands(count, seed, size), strict=True)
        ):
            path = folder / split / str(label) / f"{number}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path, quality=95)


def events(journal: Path) -> list[dict[str, Any]]:
    """Return the events of a log's complete lines; none if the file does not exist yet."""
    if not journal.exists():
        return []
    lines = journal.read_bytes().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def epochs(journal: Path) -> list[dict[str, Any]]:
    """Return the epoch events of a log."""
    return [event for event in events(journal) if event["event"] == "epoch"]


def epoch_start_time(event: dict[str, Any]) -> float:
    """Return when an epoch's training started, in seconds since the Unix epoch."""
    return float(event["time"] - event["metrics"]["epoch_seconds"])


def run_cli(
    *command: str,
    status: int = 0,
    on_poll: Callable[[int], object] | None = None,
    poll_interval: float = 0.3,
) -> None:
    """Run a command of the handsigns CLI without showing its output.

    Args:
        *command: the command and its arguments.
        status: expected exit status.
        on_poll: called with the process id at each interval.
        poll_interval: seconds between calls of `on_poll`.

    Raises:
        RuntimeError: the command exits with another status.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([*CLI, *command], stdout=output, stderr=output)
        while on_poll is not None and process.poll() is None:
            time.sleep(poll_interval)
            on_poll(process.pid)
        if (actual := process.wait()) != status:
            output.seek(0)
            printed = output.read().decode(errors="replace")
            raise RuntimeError(f"{command} exited with {actual}, not {status}:\n{printed}")


def process_tree(pid: int) -> set[int]:
    """Return the ids of a process and all its descendants."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # it has ended
    tree = {pid}
    while children := {child for child, parent in parents.items() if parent in tree} - tree:
        tree |= children
    return tree


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB; 0 if it has ended or /proc is missing."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def measure_seconds(work: Callable[[], object]) -> float:
    """Return the wall-clock seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def make_trial_spec(trial_id: str, params: Mapping[str, Scalar], search_seed: int = 0) -> TrialSpec:
    """Return a trial as a sampler would suggest it, for a simulated journal."""
    config = TrialConfig.from_params(params)
    return TrialSpec(trial_id, dict(params), config, trial_seed(search_seed, config))
