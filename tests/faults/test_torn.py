"""Files of which a crash or a power cut has left a part, or rubbish."""

import pytest

from handsigns.io.event_log import read_events, sealed

pytestmark = [pytest.mark.ray, pytest.mark.faults]


@pytest.fixture(scope="module")
def killed(place):
    """A search that was killed with two trials under way."""
    process = place.start("search", "tiny.yaml", *place.long, "--name", "torn")

    def both_trained() -> bool:
        return len({e["trial_id"] for e in place.events("torn", "epoch")}) == 2

    place.wait_for(both_trained, process)
    place.wait_for_epochs("torn", 20, process)
    place.kill(process, "torn")
    return place


def test_torn_files_are_noticed_and_the_last_good_ones_used(killed):
    folder = killed.folder("torn")
    one, two = folder / "checkpoints" / "0000", folder / "checkpoints" / "0001"
    latest = one.with_suffix(".safetensors")
    whole = latest.read_bytes()
    latest.write_bytes(whole[: len(whole) // 2])
    assert one.with_suffix(".previous.safetensors").exists()
    for suffix in (".safetensors", ".previous.safetensors"):  # right in length, wrong in content
        path = two.with_suffix(suffix)
        path.write_bytes(path.read_bytes()[:-2000] + b"\0" * 2000)
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:-40])
    (folder / "trials.csv").write_text("trial_id,sta")

    output = killed.run("resume", "torn")
    assert "0000.safetensors is no whole checkpoint" in output
    assert "0001.safetensors is damaged: its checksum does not fit" in output
    assert "0001.previous.safetensors is damaged" in output
    assert killed.audit("torn").startswith("3 trials, ")
    # Each line of before is there still, save the one that was torn.
    assert journal.read_bytes().startswith(b"".join(lines[:-1]))


def test_a_damaged_line_in_the_middle_is_named(killed):
    journal = killed.folder("torn") / "journal.jsonl"
    events, _ = read_events(journal)
    lines = [sealed(event) for event in events]
    number = len(lines) // 2
    lines[number] = lines[number].replace(b'"event"', b'"Event"')
    journal.write_bytes(b"".join(lines))
    for command in ("resume", "leaderboard", "replay"):
        more = ("0000",) if command == "replay" else ()
        output = killed.run(command, "torn", *more, status=2)
        assert f"journal.jsonl, line {number + 1} is damaged" in output
        assert f"head -n {number}" in output
