"""Fault injection: kills processes of real searches a hundred times and checks for losses.

    python benchmarks/faults.py
    python benchmarks/faults.py --kills 20 --seed 1 --json faults.json

Small ASHA searches run through the command line. At random moments, from the first second on, a
trial's process, the driver, or both are killed (SIGKILL); a search whose driver died is resumed,
and may be killed again while it resumes. After each kill, the events recorded before must be in the
journal unchanged. A finished search is audited (the command `audit`): every trial is retrained,
ASHA's decisions are recomputed, and the tables compared with both.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from harness import (
    CLI,
    Table,
    Target,
    at_least,
    at_most,
    epochs,
    finish,
    log_progress,
    make_parser,
    parse,
    temporary_folder,
    write_synthetic_images,
)

from handsigns.io.event_log import read_events
from handsigns.workflow.audit import audit
from handsigns.workflow.data import InputOptions
from handsigns.workflow.searches import open_by_name

SPACE = """
space:
  learning_rate: {type: log_uniform, low: 1e-3, high: 3e-2}
  batch_size: {type: choice, values: [8, 16]}
  channel_width: 4
budget: {trials: %d, max_epochs: 243}
scheduler: {name: asha_promotion, grace_period: 3, reduction_factor: 3}
resources: {cpus_per_trial: 1, gpus_per_trial: 0}
fault_tolerance: {max_retries: 1000}
"""
FAULT_KINDS = ("trial", "driver", "both")
MAX_DRIVER_LIFETIME_S = 25.0
"""Longest time from the start of the driver to its kill."""
MAX_TRIAL_LIFETIME_S = 4.0
"""Longest time from the start of the training to the kill of a trial."""
KILLS_PER_SEARCH = 12


class FaultInjection:
    """Campaign of kills, with counts and the problems found."""

    def __init__(self, root: Path, seed: int) -> None:
        self._root = root
        self._rng = random.Random(seed)
        self.kills = Counter[str]()
        self.searches = self.trials = self.resumed = self.replayed = 0
        self.failures: list[str] = []
        self.differences: list[str] = []

    def search(self, kills: int) -> None:
        """Run a search to its end with at most `kills` kills, and audit it."""
        root = self._root / "results" / f"search-{self.searches}"
        self.searches += 1
        command = ["search", str(self._root / "space.yaml"), "--name", root.name, "--seed",
                   str(self.searches), "--data", str(self._root / "hands"), "--size", "16",
                   "--results", str(root.parent)]  # fmt: skip
        resume = ["resume", root.name, "--results", str(root.parent)]
        before = self.kills.total()
        while True:
            remaining = kills - (self.kills.total() - before)
            status, output = self._run_session(command, root, remaining)
            if status == 0 or ("trials of " in output and " are done" in output):
                break  # the latter where it was killed after everything was written
            if status != -signal.SIGKILL:
                self.failures.append(f"{root.name} ended with status {status}: {output[-500:]}")
                return
            if (root / "search.yaml").exists():
                command = resume
        result = audit(open_by_name(root.parent, root.name), InputOptions())
        self.trials += result.trials
        self.resumed += result.resumed
        self.replayed += result.replayed
        self.differences += [f"{root.name}: {problem}" for problem in result.problems]

    def _run_session(self, command: list[str], root: Path, kills: int) -> tuple[int, str]:
        """Run one process of a search until it ends or is killed; return status and output."""
        journal = root / "journal.jsonl"
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen([*CLI, *command], stdout=output, stderr=output)
            for _ in range(kills):
                kind = self._rng.choice(FAULT_KINDS)
                self._wait_until_kill(kind, process, journal)
                recorded = journal.read_bytes() if journal.exists() else b""
                if process.poll() is not None or not self._kill(kind, process, journal):
                    continue
                self.kills[kind] += 1
                log_progress(f"{root.name}: {kind} killed, {self.kills.total()} in all")
                self._check_journal(root.name, recorded, journal)
                if kind != "trial":
                    break
            status = process.wait()
            output.seek(0)
            return status, output.read()

    def _wait_until_kill(self, kind: str, process: subprocess.Popen[bytes], journal: Path) -> None:
        """Wait for a random moment after the start or, to kill a trial, after it trains."""
        size = journal.stat().st_size if journal.exists() else 0
        limit = MAX_DRIVER_LIFETIME_S
        if kind != "driver":
            limit = MAX_TRIAL_LIFETIME_S
            # Epochs beyond those in the journal at the start of the session.
            while process.poll() is None and len(epoch_lines_since(journal, size)) < 2:
                time.sleep(0.05)
        moment = time.monotonic() + self._rng.uniform(0, limit)
        while process.poll() is None and time.monotonic() < moment:
            time.sleep(0.01)

    def _kill(self, kind: str, process: subprocess.Popen[bytes], journal: Path) -> bool:
        """Kill, and return whether it was possible: before the first epoch there is no trial."""
        recent = epochs(journal)[-2:]  # most likely of the running trials
        if kind != "driver":
            if not recent:
                return False
            victim = int(self._rng.choice(recent)["node"].rpartition("/")[2])
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                return False
        if kind != "trial":
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
        return True

    def _check_journal(self, name: str, recorded: bytes, journal: Path) -> None:
        """Check that all complete lines recorded before are readable and unchanged."""
        content = journal.read_bytes() if journal.exists() else b""
        complete_lines = recorded[: recorded.rfind(b"\n") + 1]
        if not content.startswith(complete_lines):
            self.failures.append(f"{name}: recorded lines of the journal have changed")
        elif content:
            read_events(journal)


def epoch_lines_since(journal: Path, size: int) -> list[bytes]:
    """Return the epoch lines of a journal after its first `size` bytes."""
    if not journal.exists():
        return []
    with journal.open("rb") as file:
        file.seek(size)
        return [line for line in file if b'"event": "epoch"' in line]


def main() -> int:
    """Kill, audit, and print the counts."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="total number of kills")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments and victims")
    parser.add_argument("--trials", type=int, default=12, metavar="N", help="trials per search")
    args = parse(parser, kills=1, trials=2)
    with temporary_folder() as root:
        (root / "space.yaml").write_text(SPACE % args.trials)
        os.environ["HANDSIGNS_CACHE"] = str(root / "cache")
        write_synthetic_images(root / "hands", {"train": 120, "val": 48, "test": 6}, 16, "png")
        campaign = FaultInjection(root, args.seed)
        while (remaining := args.kills - campaign.kills.total()) > 0:
            campaign.search(min(remaining, KILLS_PER_SEARCH))
            if campaign.failures:
                break
    return _report(campaign, args)


def _report(campaign: FaultInjection, args: argparse.Namespace) -> int:
    for problem in (*campaign.failures, *campaign.differences):
        print(f"problem: {problem}", file=sys.stderr)
    counts = Table(
        f"{campaign.kills.total()} kills at random moments, seed {args.seed}",
        ("event", "count"),
        [
            *((f"kills of the {kind}", str(campaign.kills[kind])) for kind in FAULT_KINDS[:2]),
            ("kills of both at once", str(campaign.kills["both"])),
            ("searches", str(campaign.searches)),
            ("trials", str(campaign.trials)),
            ("trials that were resumed", str(campaign.resumed)),
            ("trials replayed", str(campaign.replayed)),
            ("failures", str(len(campaign.failures))),
            ("differences", str(len(campaign.differences))),
        ],
    )
    targets: list[Target] = [
        at_least("kills", campaign.kills.total(), args.kills),
        at_least("trials replayed", campaign.replayed, campaign.trials),
        at_most("finished trials lost or changed", len(campaign.failures), 0),
        at_most("differences from the replays", len(campaign.differences), 0),
    ]
    return finish([counts], targets, args)


if __name__ == "__main__":
    raise SystemExit(main())
