"""Wrong labels that `suspects` finds, of those swapped on purpose in synthetic hands.

    python benchmarks/suspects.py
    python benchmarks/suspects.py --swapped 0.06 --seed 2

Of the training and validation images a share gets the label of another class, at random. The search
that follows, and its re-evaluation with folds, do not know which. Found are those among as many of
its first suspects as were swapped.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from harness import Table, at_least, finish, make_parser, parse, run_cli, temporary_folder
from harness import write_synthetic_images as write_images

from handsigns.config.yaml_document import dump_yaml

COUNTS = {"train": 1500, "val": 300, "test": 60}
SMOKE_COUNTS = {"train": 36, "val": 12, "test": 6}
MIN_FOUND = 0.8
"""Share of the swapped labels to be found."""


def swap_labels(folder: Path, share: float, seed: int) -> set[str]:
    """Move a share of the train and val images to other classes; return their new names."""
    rng = random.Random(seed)
    images = [path for split in ("train", "val") for path in sorted(folder.glob(f"{split}/*/*"))]
    swapped = set()
    for path in rng.sample(images, round(share * len(images))):
        split = path.parent.parent
        others = sorted(k.name for k in split.iterdir() if k != path.parent)
        target = split / rng.choice(others) / f"{path.parent.name}-{path.name}"
        path.rename(target)
        swapped.add(target.relative_to(folder).as_posix())
    return swapped


def write_space(path: Path, trials: int, epochs: int, folds: int) -> None:
    """Write a small search space around the recommended recipe."""
    space = {
        "learning_rate": {"type": "log_uniform", "low": 1e-3, "high": 1e-2},
        "dropout": {"type": "uniform", "low": 0.0, "high": 0.4},
        "channel_width": 8,
    }
    content = {
        "space": space,
        "budget": {"trials": trials, "max_epochs": epochs},
        "reevaluation": {"top": 2, "seeds": 1, "folds": folds},
    }
    path.write_text(dump_yaml(content), encoding="utf-8")


def found_table(suspects: dict[str, Any], swapped: set[str], total: int) -> tuple[Table, float]:
    """Return the table of what was found, and the share found among as many suspects."""
    listed = [suspect["image"]["name"] for suspect in suspects["suspects"]]
    first = swapped & set(listed[: len(swapped)])
    share = len(first) / len(swapped)
    rows = [
        ("labels swapped", f"{len(swapped)} of {total} ({len(swapped) / total:.1%})"),
        ("found among as many suspects", f"{len(first)} ({share:.1%})"),
        ("suspects listed, of which swapped", f"{len(listed)}, {len(swapped & set(listed))}"),
        ("wrong labels, as estimated by confident learning", f"{suspects['wrong_share']:.1%}"),
        ("models", f"{suspects['models']}"),
    ]
    return Table("Swapped labels", ("", "value"), rows), share


def main() -> int:
    """Swap labels, search, re-evaluate on folds, and print what was found."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--swapped", type=float, default=0.03, metavar="S", help="share to swap")
    parser.add_argument("--trials", type=int, default=6, metavar="N", help="trials of the search")
    parser.add_argument("--epochs", type=int, default=18, metavar="N", help="epochs per trial")
    parser.add_argument("--folds", type=int, default=4, metavar="F", help="folds")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the swaps")
    args = parse(parser, trials=1, epochs=1, folds=2, swapped=0.1)
    counts = SMOKE_COUNTS if args.smoke else COUNTS
    with temporary_folder() as folder:
        write_images(folder / "hands", counts, 16 if args.smoke else 64, "png")
        swapped = swap_labels(folder / "hands", args.swapped, args.seed)
        write_space(folder / "space.yaml", args.trials, args.epochs, args.folds)
        data = ("--data", str(folder / "hands"), "--size", "16" if args.smoke else "64")
        search = ("swapped", "--results", str(folder / "results"), "--no-report")
        run_cli("search", str(folder / "space.yaml"), *data, "--name", *search)
        run_cli("reevaluate", *search)
        suspects = json.loads((folder / "results/swapped/suspects.json").read_text("utf-8"))
    table, share = found_table(suspects, swapped, counts["train"] + counts["val"])
    return finish([table], [at_least("swapped labels found", share, MIN_FOUND)], args)


if __name__ == "__main__":
    raise SystemExit(main())
