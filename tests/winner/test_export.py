"""Exported graphs, run by their runtimes and compared with the model."""

import dataclasses
import json
import zipfile

import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.errors import ResultsError
from handsigns.models import build_model
from handsigns.results.winner import write_model_card
from handsigns.winner import export, onnx_graph
from handsigns.winner.export import (
    FORMATS,
    METADATA_FILE,
    TOLERANCE,
    export_winner,
    write_untrained,
)
from handsigns.winner.model import save_model
from handsigns.winner.predict import load_winner
from tests.support.winners import NAMES, SIZE, random_images, random_network, save_winner
from tests.support.workspace import REPOSITORY

pytestmark = pytest.mark.slow

ARCHITECTURES = ("compact", "cs230", "torchvision/mobilenet_v3_small")


@pytest.fixture
def make_winner(tmp_path):
    """Make a winner folder with random weights and populated batch-norm statistics."""

    def make(architecture):
        config = TrialConfig(architecture=architecture, channel_width=4)
        return save_winner(tmp_path / "winner", config, random_network(config))

    return make


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_onnx_matches_the_model_for_any_batch_size(make_winner, architecture):
    ort = pytest.importorskip("onnxruntime")
    folder = make_winner(architecture)
    assert export_winner(folder, "onnx", folder / "model.onnx", random_images(40)) <= TOLERANCE
    session = ort.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    winner = load_winner(folder)
    for count in (1, 2, 7):
        (found,) = session.run(None, {"images": random_images(count)})
        assert found.shape == (count, 3)
        assert found == pytest.approx(winner.probabilities(random_images(count)), abs=1e-4)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == list(NAMES)
    assert (metadata["size"], metadata["trial_id"], metadata["search"]) == ("32", "0003", "first")
    assert json.loads(metadata["config"])["architecture"] == architecture
    assert metadata["preprocessing"].startswith("upright, transparency on white, central square,")
    assert [path.name for path in folder.glob("*model.onnx*")] == ["model.onnx"]
    content = (folder / "model.onnx").read_bytes()
    assert b"stack_trace" not in content
    assert str(REPOSITORY).encode() not in content, "paths of this machine are private"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_torch_program_matches_the_model(make_winner, architecture):
    folder = make_winner(architecture)
    out = folder / "model.pt2"
    assert export_winner(folder, "torch-export", out, random_images(40)) <= TOLERANCE
    extra = {METADATA_FILE: ""}
    program = torch.export.load(out, extra_files=extra).module()
    winner = load_winner(folder)
    for count in (1, 7):
        found = program(torch.tensor(random_images(count))).detach().numpy()
        assert found == pytest.approx(winner.probabilities(random_images(count)), abs=1e-4)
    assert json.loads(extra[METADATA_FILE])["classes"] == list(NAMES)
    assert zipfile.is_zipfile(out)


def test_metadata_have_no_paths_of_user_code(make_winner):
    folder = make_winner("compact")
    card = load_winner(folder).card
    user_code = {"mine": {"digest": "0" * 32, "file": "/home/me/secret/mine.py"}}
    write_model_card(folder, dataclasses.replace(card, user_code=user_code))
    export_winner(folder, "torch-export", folder / "model.pt2", random_images(2))
    extra = {METADATA_FILE: ""}
    torch.export.load(folder / "model.pt2", extra_files=extra)
    assert json.loads(extra[METADATA_FILE])["user_code"] == {"mine": {"digest": "0" * 32}}


@pytest.mark.parametrize("export_format", FORMATS)
def test_a_differing_graph_is_rejected(make_winner, monkeypatch, export_format):
    if export_format == "onnx":
        pytest.importorskip("onnxruntime")
    folder = make_winner("compact")
    normalize = export.normalize
    monkeypatch.setattr(export, "normalize", lambda images: normalize(images) * 1.1)
    with pytest.raises(ResultsError, match=r"differs from the model: a probability by 0\.\d+"):
        export_winner(folder, export_format, folder / "model.any", random_images(4))


def test_a_model_that_returns_nan_is_rejected(make_winner):
    folder = make_winner("compact")
    card = load_winner(folder).card
    model = build_model(card.config, 3, SIZE)
    torch.nn.init.constant_(model.head.bias, float("nan"))
    save_model(folder, {1: model}, card)
    with pytest.raises(ResultsError, match="differs from the model"):
        export_winner(folder, "torch-export", folder / "model.pt2", random_images(2))


def test_the_error_without_onnx_has_the_install_command(monkeypatch):
    monkeypatch.setattr(onnx_graph, "_PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(ResultsError, match=r"no_such_package: pip install 'handsigns\[onnx\]'"):
        onnx_graph.check_extra()


def test_a_model_without_equivalent_is_reported_with_a_remedy(make_winner, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise torch.onnx.OnnxExporterError("\nCould not guard on\ninternals")

    monkeypatch.setattr(torch.export, "export", fail)
    monkeypatch.setattr(torch.onnx, "export", fail)
    folder = make_winner("compact")
    for export_format, message in {
        "torch-export": r"equivalent of the model \(Could not guard on\); change its code",
        "onnx": r"no ONNX graph \(Could not guard on\); try --format torch-export",
    }.items():
        with pytest.raises(ResultsError, match=message):
            export_winner(folder, export_format, folder / "model.any", random_images(1))
    with pytest.raises(ResultsError, match=r"leave compact out of the space$"):
        write_untrained(TrialConfig(channel_width=4), 3, SIZE, None, tmp_path / "model.onnx")
