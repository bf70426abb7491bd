"""Kills processes of real searches, a hundred times, and tells what was lost.

    python benchmarks/faults.py
    python benchmarks/faults.py --kills 20 --seed 1 --json faults.json

Small searches with ASHA are run as a user runs them. At random moments, from the first second on, a
trial's process is killed (SIGKILL), or the driver's, or both at once; a search whose driver died is
resumed, and may be killed again while it resumes. After each kill, what had been recorded before
must stand in the journal unchanged. A search that finished is audited (the command `audit`): every
trial is trained again, ASHA's decisions are computed again, the tables compared with both.
"""

from __future__ import annotations

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
    TUNE,
    Table,
    at_least,
    at_most,
    draw_pictures,
    epochs,
    finish,
    options,
    parse,
    tell,
    workplace,
)

from handsigns.io.event_log import read_events
from handsigns.workflow.audit import audit
from handsigns.workflow.data import Sources
from handsigns.workflow.searches import open_named

SPACE = """
space:
  learning_rate: {type: log_uniform, low: 1e-3, high: 3e-2}
  batch_size: {type: choice, values: [8, 16]}
  channel_width: 4
budget: {trials: %d, max_epochs: 243}
scheduler: {name: asha, grace_period: 9, reduction_factor: 3}
resources: {cpus_per_trial: 1, gpus_per_trial: 0}
faults: {retries: 1000}
"""
KINDS = ("trial", "driver", "both")
WITHIN_SECONDS = 25.0
"""Of the start of the driver, after which it is killed at the latest."""
OF_TRAINING_SECONDS = 4.0
"""The same for a trial, from when trials train."""
KILLS_OF_A_SEARCH = 12


class Campaign:
    """Kills, and what came of them."""

    def __init__(self, place: Path, seed: int) -> None:
        self._place = place
        self._random = random.Random(seed)
        self.kills = Counter[str]()
        self.searches = self.trials = self.resumed = self.replayed = 0
        self.lost: list[str] = []
        self.differences: list[str] = []

    def search(self, kills: int) -> None:
        """Run one search to its end through at most so many kills, and audit it."""
        root = self._place / "results" / f"search-{self.searches}"
        self.searches += 1
        command = ["search", str(self._place / "space.yaml"), "--name", root.name, "--seed",
                   str(self.searches), "--data", str(self._place / "hands"), "--size", "16",
                   "--results", str(root.parent)]  # fmt: skip
        resume = ["resume", root.name, "--results", str(root.parent)]
        before = self.kills.total()
        while True:
            left = kills - (self.kills.total() - before)
            status, output = self._session(command, root, left)
            if status == 0 or ("trials of " in output and " are done" in output):
                break  # the latter where it was killed with everything written
            if status != -signal.SIGKILL:
                self.lost.append(f"{root.name} ended with status {status}: {output[-500:]}")
                return
            if (root / "study.yaml").exists():
                command = resume
        found = audit(open_named(root.parent, root.name), Sources())
        self.trials += found.trials
        self.resumed += found.resumed
        self.replayed += found.replayed
        self.differences += [f"{root.name}: {problem}" for problem in found.problems]

    def _session(self, command: list[str], root: Path, kills: int) -> tuple[int, str]:
        """One process of a search, from start to end or to its death; its status and output."""
        journal = root / "journal.jsonl"
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen([*TUNE, *command], stdout=output, stderr=output)
            for _ in range(kills):
                kind = self._random.choice(KINDS)
                self._wait(kind, process, journal)
                recorded = journal.read_bytes() if journal.exists() else b""
                if process.poll() is not None or not self._kill(kind, process, journal):
                    continue
                self.kills[kind] += 1
                tell(f"{root.name}: {kind} killed, {self.kills.total()} in all")
                self._compare(root.name, recorded, journal)
                if kind != "trial":
                    break
            status = process.wait()
            output.seek(0)
            return status, output.read()

    def _wait(self, kind: str, process: subprocess.Popen[bytes], journal: Path) -> None:
        """Until the moment to kill: from the start on, or once a trial trains that is to die."""
        size = journal.stat().st_size if journal.exists() else 0
        limit = WITHIN_SECONDS
        if kind != "driver":
            limit = OF_TRAINING_SECONDS
            # Beyond what a session writes as it begins.
            while process.poll() is None and len(epochs_since(journal, size)) < 2:
                time.sleep(0.05)
        moment = time.monotonic() + self._random.uniform(0, limit)
        while process.poll() is None and time.monotonic() < moment:
            time.sleep(0.01)

    def _kill(self, kind: str, process: subprocess.Popen[bytes], journal: Path) -> bool:
        """Whether there was something to kill: before the first epoch there is no trial."""
        trained = epochs(journal)[-2:]  # of those that train now, most likely
        if kind != "driver":
            if not trained:
                return False
            victim = int(self._random.choice(trained)["node"].rpartition("/")[2])
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                return False
        if kind != "trial":
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
        return True

    def _compare(self, name: str, recorded: bytes, journal: Path) -> None:
        """Whole lines of before must be there still, readable and unchanged."""
        now = journal.read_bytes() if journal.exists() else b""
        whole = recorded[: recorded.rfind(b"\n") + 1]
        if not now.startswith(whole):
            self.lost.append(f"{name}: the journal is not what it was")
        elif now:
            read_events(journal)


def epochs_since(journal: Path, size: int) -> list[bytes]:
    """The lines of epochs beyond so many bytes of a journal."""
    if not journal.exists():
        return []
    with journal.open("rb") as file:
        file.seek(size)
        return [line for line in file if b'"event": "epoch"' in line]


def main() -> int:
    """Kill, audit, and print the tally."""
    parser = options(__doc__ or "")
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="in all")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    parser.add_argument("--trials", type=int, default=12, metavar="N", help="of each search")
    chosen = parse(parser, kills=1, trials=2)
    with workplace() as place:
        (place / "space.yaml").write_text(SPACE % chosen.trials)
        os.environ["HANDSIGNS_CACHE"] = str(place / "cache")
        draw_pictures(place / "hands", {"train": 120, "val": 48, "test": 6}, 16, "png")
        campaign = Campaign(place, chosen.seed)
        while (left := chosen.kills - campaign.kills.total()) > 0:
            campaign.search(min(left, KILLS_OF_A_SEARCH))
            if campaign.lost:
                break
        for problem in (*campaign.lost, *campaign.differences):
            print(f"wrong: {problem}", file=sys.stderr)
        tally = Table(
            f"{campaign.kills.total()} kills at random moments, seed {chosen.seed}",
            ("what", "count"),
            [
                *((f"kills of the {kind}", str(campaign.kills[kind])) for kind in KINDS[:2]),
                ("kills of both at once", str(campaign.kills["both"])),
                ("searches", str(campaign.searches)),
                ("trials", str(campaign.trials)),
                ("trials that were resumed", str(campaign.resumed)),
                ("trials replayed", str(campaign.replayed)),
                ("losses", str(len(campaign.lost))),
                ("differences", str(len(campaign.differences))),
            ],
        )
        aims = [
            at_least("kills", campaign.kills.total(), chosen.kills),
            at_least("trials replayed", campaign.replayed, campaign.trials),
            at_most("finished trials lost or changed", len(campaign.lost), 0),
            at_most("differences from the replays", len(campaign.differences), 0),
        ]
        return finish([tally], aims, chosen)


if __name__ == "__main__":
    raise SystemExit(main())
