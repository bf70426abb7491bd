"""Recording of learning curves, from which `policy.py` simulates searches.

    python benchmarks/curves.py                              # record what is missing
    python benchmarks/curves.py --data hands24 --space default --configs 400 --workers 2
    python benchmarks/curves.py --data signs32 --photographs ../signs_dev
    python benchmarks/curves.py --data hands64 --device cuda --workers 16

Trains the configurations of a Sobol sequence to the end, without early stopping, and writes their
validation loss, accuracy and seconds after every epoch to curves/DATA-SPACE.parquet. Some of them
are trained with five seeds, which shows the noise. Trials on record are not trained again, so it
can be interrupted, extended, and continues where it ended. Seconds are CPU seconds on one thread,
which other processes on the machine hardly change; on a GPU, the seconds that an epoch took beside
the other processes there.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

from harness import (
    REPOSITORY,
    Table,
    finish,
    log_progress,
    make_parser,
    parse,
    temporary_folder,
    write_synthetic_images,
)

CURVES = Path(__file__).with_name("curves")
SPACES = ("default", "full")
NUM_CONFIGS = {"default": 400, "full": 200}
NUM_REPEATED, NUM_SEEDS = 40, 5
"""Number of configurations trained with several seeds, and number of these seeds."""
REPEAT_EVERY = 5
"""One in this many configurations is trained with several seeds, up to `NUM_REPEATED`."""
BLOCK = 100
"""Configurations recorded of one data set before the next one's turn."""
_SAVE_INTERVAL = 60.0
"""Seconds between writes of the file."""


@dataclass(frozen=True)
class DataSet:
    """Images to train on: synthetic hands, or a folder of photographs."""

    size: int
    images: dict[str, int] | None

    def prepare(self, folder: Path, photographs: Path | None) -> Path | None:
        """Return the folder of the images; None if the photographs are not given."""
        if self.images is not None:
            write_synthetic_images(folder, self.images, self.size, "png")
            return folder
        return photographs


DATA_SETS = {
    "hands24": DataSet(24, {"train": 1200, "val": 300, "test": 6}),
    "signs32": DataSet(32, None),
    "hands64": DataSet(64, {"train": 864, "val": 216, "test": 6}),
    "signs64": DataSet(64, None),
}
"""Data sets by name: synthetic hands of 24 pixels as in peers.py and of 64, and photographs."""


def main() -> int:
    """Record the missing curves of the chosen data sets and spaces."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--data", nargs="+", choices=DATA_SETS, default=("hands24", "signs32"))
    parser.add_argument("--space", nargs="+", choices=SPACES, default=SPACES)
    parser.add_argument("--configs", type=int, help="number of configurations of each space")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="number of processes")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--photographs", type=Path, help="folder of photographs, for signs*")
    parser.add_argument("--out", type=Path, default=CURVES, help="folder of the curves")
    args = parse(parser, data=["hands24"], space=["default"], configs=1, out=None)
    with temporary_folder() as folder:
        out = args.out or folder
        os.environ["HANDSIGNS_CACHE"] = str(folder / "cache")
        folders = {
            name: images
            for name in args.data
            if (images := DATA_SETS[name].prepare(folder / name, args.photographs))
        }
        recorders = [
            Recorder(out / f"{name}-{space}.parquet", name, space, folders[name], args)
            for space, name in itertools.product(args.space, folders)
        ]
        with process_pool(args.workers, args.device) as pool:
            # In turns, so that every data set has some curves when it is interrupted.
            for last in itertools.count(BLOCK, BLOCK):
                remain = [recorder.record(pool, last) for recorder in recorders]
                if not any(remain):
                    break
    table = Table("Recorded curves", ("data and space", "trainings", "planned"),
                  [recorder.row for recorder in recorders])  # fmt: skip
    return finish([table], [], args)


@contextlib.contextmanager
def process_pool(workers: int, device: str) -> Iterator[Pool]:
    """Yield a pool of processes that train; on a GPU they share it by MPS, if they can."""
    from handsigns.cluster.mps import mps_daemon
    from handsigns.config.execution import Resources

    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        if device == "cuda":
            stack.enter_context(mps_daemon(Resources(mps="auto"), log_progress))
        yield stack.enter_context(context.Pool(workers, os.nice, (10,)))


@dataclass(frozen=True)
class Job:
    """A training to record."""

    config: int
    seed: int
    params: dict[str, Any]


class Recorder:
    """Recorder of the curves of one data set and space in a file."""

    def __init__(
        self, path: Path, data: str, space: str, images: Path, args: argparse.Namespace
    ) -> None:
        from handsigns.config.load import load_search_config

        self._path, self._data, self._images = path, data, images
        self._size, self._device, self._smoke = DATA_SETS[data].size, args.device, args.smoke
        self._config = load_search_config(REPOSITORY / "search_spaces" / f"{space}.yaml")
        self._num_configs = args.configs or NUM_CONFIGS[space]
        self._rows: list[dict[str, Any]] = _read(path)
        self._recorded = {(row["config"], row["seed"]) for row in self._rows}
        self._jobs = list(self._plan())

    def _plan(self) -> Iterator[Job]:
        last_repeated = REPEAT_EVERY * NUM_REPEATED
        for number, params in enumerate(sobol_params(self._config, self._num_configs)):
            repeated = not self._smoke and number % REPEAT_EVERY == 0 and number < last_repeated
            for seed in range(NUM_SEEDS if repeated else 1):
                yield Job(number, seed, params)

    @property
    def row(self) -> tuple[str, str, str]:
        """Name of the file, number of recorded trainings, and of all."""
        return self._path.stem, str(len(self._recorded)), str(len(self._jobs))

    def record(self, pool: Pool, last: int) -> bool:
        """Record what is missing of the first `last` configurations; return whether more remain."""
        jobs = [
            job
            for job in self._jobs
            if job.config < last and (job.config, job.seed) not in self._recorded
        ]
        max_epochs = 2 if self._smoke else self._config.budget.max_epochs
        tasks = [(job, self._images, self._size, max_epochs, self._device) for job in jobs]
        if tasks:
            log_progress(f"{self._path.stem}: {len(jobs)} trainings up to configuration {last}")
            saved = time.monotonic()
            for rows in pool.imap_unordered(_train, tasks):
                self._rows += rows
                self._recorded.add((rows[0]["config"], rows[0]["seed"]))
                if time.monotonic() - saved > _SAVE_INTERVAL:
                    self._save()
                    saved = time.monotonic()
            self._save()
        return last < self._num_configs

    def _save(self) -> None:
        import pandas as pd

        table = pd.DataFrame(self._rows).sort_values(["config", "seed", "epoch"])
        floats = table.select_dtypes("float64").columns.difference([*self._config.space])
        table = table.astype(dict.fromkeys(floats, "float32"))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        table.to_parquet(temporary, index=False, compression="zstd")
        temporary.replace(self._path)
        trainings = len(self._recorded)
        log_progress(f"{self._path.stem}: {trainings} of {len(self._jobs)} trainings recorded")


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    import pandas as pd

    rows = pd.read_parquet(path).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def sobol_params(search_config: Any, count: int) -> list[dict[str, Any]]:
    """Return the first configurations of a scrambled Sobol sequence over a space."""
    import warnings

    import optuna

    from handsigns.policy.optuna_space import suggest_params

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(sampler=optuna.samplers.QMCSampler(scramble=True, seed=0))
    configurations = []
    for _ in range(count):
        trial = study.ask()
        configurations.append(suggest_params(search_config, trial))
        study.tell(trial, 0.0)
    return configurations


def _train(task: tuple[Job, Path, int, int, str]) -> list[dict[str, Any]]:
    """Train one configuration on one thread; return a row for every epoch."""
    import torch

    from handsigns.config.hyperparameters import TrialConfig, trial_seed
    from handsigns.data.dataset import open_data
    from handsigns.training.device import describe_device, release_gpu_memory
    from handsigns.training.state import TrainingPlan, init_state
    from handsigns.training.train import DivergedError, train_epochs

    job, images, size, max_epochs, device_type = task
    torch.set_num_threads(1)
    data_set = open_data(images, size=size)
    config = TrialConfig.from_params(job.params)
    classes, device = len(data_set.info.classes), torch.device(device_type)
    plan = TrainingPlan(config, classes, size, max_epochs, trial_seed(job.seed, config), device)
    clock = time.process_time if device_type == "cpu" else time.perf_counter
    identity = {"config": job.config, "seed": job.seed, "device": describe_device(device)}
    rows, started = [], clock()
    with release_gpu_memory():
        try:
            for metrics in train_epochs(init_state(plan), data_set.train, data_set.val):
                ended = clock()
                figures = {
                    "epoch": metrics.epoch,
                    "val_loss": metrics.val_loss,
                    "val_accuracy": metrics.val_accuracy,
                    "train_loss": metrics.train_loss,
                    "seconds": ended - started,
                }
                rows.append(identity | figures | job.params)
                started = ended
        except DivergedError as error:
            figures = dict.fromkeys(("val_loss", "val_accuracy", "train_loss"), float("nan"))
            figures |= {"epoch": error.epoch, "seconds": clock() - started}
            rows.append(identity | figures | job.params)
    return rows


if __name__ == "__main__":
    sys.exit(main())
