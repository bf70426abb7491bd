"""Truncated and corrupt files after a crash or power failure."""

import pytest

from handsigns.cli import main
from handsigns.io.event_log import encode_event, read_events

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def killed(workspace):
    """Kill a search while two trials are running."""
    process = workspace.start("search", "tiny.yaml", *workspace.long, "--name", "torn")

    def both_trained() -> bool:
        return len({e["trial_id"] for e in workspace.events("torn", "epoch")}) == 2

    workspace.wait_for(both_trained, process)
    workspace.wait_for_epochs("torn", 20, process)
    workspace.kill(process, "torn")
    return workspace


@pytest.mark.ray
@pytest.mark.long
def test_corrupt_files_are_detected_and_good_ones_used(killed):
    folder = killed.folder("torn")
    first, second = folder / "checkpoints" / "0000", folder / "checkpoints" / "0001"
    latest = first.with_suffix(".safetensors")
    content = latest.read_bytes()
    latest.write_bytes(content[: len(content) // 2])
    assert first.with_suffix(".previous.safetensors").exists()
    for suffix in (".safetensors", ".previous.safetensors"):  # right length, wrong content
        path = second.with_suffix(suffix)
        path.write_bytes(path.read_bytes()[:-2000] + b"\0" * 2000)
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:-40])
    (folder / "trials.csv").write_text("trial_id,sta")

    output = killed.run("resume", "torn")
    assert "0000.safetensors is not a complete checkpoint" in output
    assert "0001.safetensors is damaged: checksum mismatch" in output
    assert "0001.previous.safetensors is damaged" in output
    assert "\n3 trials, " in f"\n{killed.audit('torn')}"
    # Every line but the torn one is still there.
    assert journal.read_bytes().startswith(b"".join(lines[:-1]))


def test_damaged_journal_line_is_named_in_the_error(make_search, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    journal = make_search("torn").paths.journal
    events, _ = read_events(journal)
    lines = [encode_event(event) for event in events]
    number = len(lines) // 2
    lines[number] = lines[number].replace(b'"event"', b'"Event"')
    journal.write_bytes(b"".join(lines))
    for command in (["resume", "torn"], ["leaderboard", "torn"], ["replay", "torn", "0000"]):
        assert main(command) == 2
        output = capsys.readouterr().err
        assert f"journal.jsonl, line {number + 1} is damaged" in output
        assert f"head -n {number}" in output
