"""Suspect labels on the command line, and corrected labels of a search without any trial."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from handsigns.cli import main
from handsigns.data.correction import Correction
from handsigns.data.findings import ImageRef
from handsigns.errors import DataError, ResultsError
from handsigns.results.store import create_search, open_search, update_data_record
from handsigns.results.suspects import SuspectLabel, SuspectLabels, write_suspects
from handsigns.workflow.check import add_suspects, check_folder, print_check
from handsigns.workflow.data import open_search_data, open_verified_data
from handsigns.workflow.new_search import NewSearchRequest, plan_search

NAMES = ("train/low/3.png", "val/high/1.png")


@pytest.fixture
def search(make_search, tmp_path, monkeypatch):
    """Scripted search with two suspect labels, in the current folder."""
    monkeypatch.chdir(tmp_path)
    search = make_search()
    found = [
        SuspectLabel(ImageRef("train", NAMES[0], "low", "/9j/"), "high", 0.875, 1.0, 3,
                     (("high", 0.875), ("low", 0.1)), "ab" * 16),
        SuspectLabel(ImageRef("val", NAMES[1], "high", "/9j/"), "low", 0.5, 0.75, 4,
                     (("low", 0.5), ("high", 0.3)), "cd" * 16),
    ]  # fmt: skip
    images = {"train": 690, "val": 173}
    suspects = SuspectLabels(
        search.data.info.fingerprint, 8, images, images, 0.98, 0.012, 800, 8, 2, tuple(found)
    )
    write_suspects(search.paths, suspects)
    return search


def test_suspects_are_printed_with_what_labels_allow(search, capsys):
    assert main(["suspects", "scripted"]) == 0
    printed = capsys.readouterr().out
    for part in (
        "train/low/3.png", "0.88", "3 of 3", "3 of 4",
        "8 models judged 690 of 690 train and 173 of 173 val images, with an accuracy of 98.00%; "
        "2 labels are suspect",
        "miss 8 of the 800 images that 3 or more judged", "about 99.00% (95 % confidence",
        "estimates that 1.20% of the labels are wrong",
        "written to reports/scripted/suspects.csv",
    ):  # fmt: skip
        assert part in printed, printed


def test_table_is_written_but_never_overwritten(search, tmp_path, capsys):
    main(["suspects", "scripted"])
    table = tmp_path / "reports" / "scripted" / "suspects.csv"
    rows = list(csv.DictReader(table.open()))
    assert [row["image"] for row in rows] == list(NAMES)
    assert rows[0]["suggested"] == "high"
    main(["suspects", "scripted"])
    assert "was kept" not in capsys.readouterr().out
    table.write_text("image,suggested\n")
    assert main(["suspects", "scripted"]) == 0
    assert "reports/scripted/suspects.csv has other rows, perhaps edited" in capsys.readouterr().out
    assert table.read_text() == "image,suggested\n"


def test_other_formats_write_no_file(search, tmp_path, capsys):
    main(["suspects", "scripted", "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert found["suspects"][0]["image"] == {"split": "train", "name": NAMES[0], "label": "low"}
    assert found["attainable_accuracy"] == pytest.approx(0.99)
    main(["suspects", "scripted", "--format", "csv"])
    assert capsys.readouterr().out.count("\n") == 3
    assert not (tmp_path / "reports").exists()


def test_search_without_suspects_says_what_to_do(make_search, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_search()
    assert main(["suspects", "scripted"]) == 2
    assert "no suspect labels of scripted are known" in capsys.readouterr().err


@pytest.fixture
def request_with(workspace, tmp_path, monkeypatch):
    """Return a function that requests a search with a table of images to relabel."""
    monkeypatch.setenv("HANDSIGNS_CACHE", str(tmp_path / "cache"))

    def make(*rows):
        table = tmp_path / "wrong.csv"
        table.write_text("\n".join(["image,suggested", *rows]))
        return NewSearchRequest(
            str(workspace.root / "tiny.yaml"), {}, tmp_path / "results", name="corrected",
            data=workspace.root / "bands", size=16, relabel=[table],
        )  # fmt: skip

    return make


def test_stored_search_reopens_its_corrected_data(request_with, tmp_path, capsys):
    new = plan_search(request_with(f"{NAMES[0]},high"))
    assert "corrected: 1 image relabelled, 0 excluded" in capsys.readouterr().out
    create_search(new.paths, new.config, new.record, check=new.data.check)
    (tmp_path / "wrong.csv").unlink()
    stored = open_search(new.paths)
    data = open_verified_data(stored)
    assert (data.train.labels == new.data.train.labels).all()
    assert data.train.labels[data.train.names.index(NAMES[0])] == data.info.classes.index("high")
    assert len(data.open_test()) == 24


def test_correction_of_a_deleted_image_is_left_out(request_with, workspace, tmp_path, capsys):
    images = tmp_path / "images"
    shutil.copytree(workspace.root / "bands", images)
    request = request_with(f"{NAMES[0]},high", f"{NAMES[1]},low")
    request = dataclasses.replace(request, data=images)
    new = plan_search(request)
    create_search(new.paths, new.config, new.record, check=new.data.check)
    stored = open_search(new.paths)
    (images / NAMES[0]).unlink()
    capsys.readouterr()
    with pytest.raises(DataError, match="are not those of corrected"):
        open_verified_data(stored)
    assert f"no longer fits and is left out: {tmp_path}/wrong.csv line 2" in capsys.readouterr().err
    changed = open_search_data(stored)
    update_data_record(stored, changed.info, None)  # as `resume --accept-changed-data` does
    data = open_verified_data(open_search(new.paths))
    assert data.val.labels[data.val.names.index(NAMES[1])] == data.info.classes.index("low")


def test_data_folder_is_recorded_without_a_tilde(request_with, workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(workspace.root))
    request = dataclasses.replace(request_with(f"{NAMES[0]},high"), data=Path("~/bands"))
    new = plan_search(request)
    bands = str(workspace.root.resolve() / "bands")
    assert (new.record.folder, new.data.info.source) == (bands, bands)
    create_search(new.paths, new.config, new.record, check=new.data.check)
    stored = open_search(new.paths)
    assert len(open_verified_data(stored).train) == 60
    update_data_record(stored, dataclasses.replace(new.data.info, fingerprint="0"), request.data)
    assert open_search(new.paths).data.folder == bands


def test_corrections_that_do_not_fit_start_nothing(request_with, tmp_path):
    with pytest.raises(DataError, match=r"wrong\.csv line 2: there is no class round"):
        plan_search(request_with(f"{NAMES[0]},round"))
    assert not (tmp_path / "results").exists()


def test_a_check_shows_the_suspects_of_a_search(search, workspace):
    check = check_folder(workspace.root / "bands", size=16, group_by=None)
    with pytest.raises(ResultsError, match="scripted was run on other images"):
        add_suspects(check, search)
    check = dataclasses.replace(check, fingerprint=search.data.info.fingerprint)
    finding = add_suspects(check, search).findings[0]
    assert (finding.kind, finding.count) == ("suspect_labels", 2)
    assert finding.message == "2 labels probably wrong, by the predictions of 8 models of scripted"
    assert finding.examples[0] == "train/low/3.png (probably high)"
    assert [image.name for image in finding.images] == list(NAMES)


@pytest.mark.parametrize(
    ("name", "message"),
    [("wrong", "no search named wrong"), ("scripted", "no suspect labels of scripted are known")],
)
def test_a_useless_search_is_refused_before_images_are_read(
    make_search, tmp_path, monkeypatch, capsys, name, message
):
    monkeypatch.chdir(tmp_path)
    make_search()
    monkeypatch.setattr("handsigns.data.check.check_data", None)
    assert main(["check", "bands", "--search", name]) == 2
    assert message in capsys.readouterr().err


def test_suggested_commands_repeat_the_options(search, workspace, monkeypatch, tmp_path, capsys):
    check = check_folder(workspace.root / "bands", size=16, group_by=None)
    check = dataclasses.replace(check, fingerprint=search.data.info.fingerprint)
    check = add_suspects(check, search)
    assert f" suspects scripted --results {search.paths.root.parent}" in check.findings[0].advice
    print_check(Path("bands"), check, size=16, group_by="a|b")
    assert " check bands --size 16 --group-by 'a|b'" in capsys.readouterr().out


def test_a_check_of_a_corrected_search_is_refused(search, workspace):
    check = check_folder(workspace.root / "bands", size=16, group_by=None)
    record = dataclasses.replace(search.data, corrections=(Correction("a.png", "5", "", "x 2"),))
    with pytest.raises(ResultsError, match="scripted was run with corrected labels"):
        add_suspects(check, dataclasses.replace(search, data=record))
