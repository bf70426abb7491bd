"""Requests for an export that are refused or fail, and their commands."""

import pytest

from handsigns.cli.parser import parse
from handsigns.config.hyperparameters import TrialConfig
from handsigns.errors import ConfigError, ResultsError
from handsigns.io.storage import open_storage
from handsigns.results.search_lock import search_lock
from handsigns.results.sync import RemoteCopy
from handsigns.results.winner import CONFIG_FILE, ModelCard, write_model_card
from handsigns.winner import export as winner_export
from handsigns.winner import onnx_graph
from handsigns.workflow import export as workflow_export
from handsigns.workflow.data import InputOptions
from handsigns.workflow.export import ExportRequest, export
from handsigns.workflow.test import evaluate_on_test
from tests.support.winners import SIZE, data_of

INPUTS = InputOptions()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ExportRequest("ONNX", INPUTS), "format: 'ONNX' is none of onnx, torch-export"),
        (
            ExportRequest("torch-export", INPUTS, int8=True),
            "--int8 quantises ONNX graphs: use --format onnx, not torch-export",
        ),
        (
            ExportRequest("onnx", INPUTS, max_accuracy_drop=0.1),
            "--max-accuracy-drop limits the loss by --int8",
        ),
        (
            ExportRequest("onnx", INPUTS, int8=True, max_accuracy_drop=2),
            "--max-accuracy-drop 2 is not between 0 and 1",
        ),
        (
            ExportRequest("onnx", INPUTS, int8=True, max_accuracy_drop=float("nan")),
            "--max-accuracy-drop nan is not between 0 and 1",
        ),
    ],
)
def test_contradictory_requests_are_refused(make_search, request_, message):
    with pytest.raises(ConfigError, match=message):
        export(make_search(trials=2), request_)


@pytest.fixture
def retrained(make_search, add_scripted_winner):
    """Search with a winner, but without its weights."""
    search = make_search(trials=3)
    add_scripted_winner(search)
    card = ModelCard(
        config=TrialConfig(), classes=search.data.info.classes, size=64, epochs=36, seeds=(5,),
        search="it", trial_id=search.trial(None).trial_id, selected_by="rank",
        selected_after_test=False, fingerprint="abc", git_revision=None, user_code={},
        trained_seeds=(5,),
    )  # fmt: skip
    write_model_card(search.paths.winner, card)
    return search


@pytest.mark.parametrize("step", ["comparison", "latency"])
def test_an_interrupted_export_leaves_no_graph(retrained, make_split, monkeypatch, tmp_path, step):
    def write_graph(_winner, _form, path, _images, **_):
        path.touch()
        return interrupt() if step == "comparison" else 0.0

    def interrupt(*_):
        raise KeyboardInterrupt

    data = data_of(make_split(9, size=SIZE), make_split(6, size=SIZE))
    monkeypatch.setattr(workflow_export, "open_verified_data", lambda *_: data)
    monkeypatch.setattr(winner_export, "export_winner", write_graph)
    monkeypatch.setattr(onnx_graph, "check_extra", lambda _remedy: None)
    monkeypatch.setattr(onnx_graph, "profile_graphs", interrupt)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        export(retrained, ExportRequest("onnx", INPUTS, out=tmp_path / "model.onnx"))
    assert sorted(tmp_path.iterdir()) == before


def test_a_damaged_test_result_is_reported_before_the_export(retrained):
    pytest.importorskip("onnxruntime")
    (retrained.paths.winner / "test.json").write_text("{")
    with pytest.raises(ResultsError, match=r"test\.json is damaged"):
        export(retrained, ExportRequest("onnx", INPUTS))


def test_a_search_that_is_run_is_neither_exported_nor_tested(make_search, add_scripted_winner):
    search = make_search(trials=3)
    add_scripted_winner(search)
    (search.paths.winner / CONFIG_FILE).touch()
    with search_lock(search.paths):
        with pytest.raises(
            ResultsError, match=r"scripted is being run by .*; wait for it to finish$"
        ):
            export(search, ExportRequest("torch-export", INPUTS))
        with pytest.raises(ResultsError, match="scripted is being run by"):
            evaluate_on_test(search, INPUTS)


def test_a_search_running_elsewhere_is_neither_exported_nor_tested(
    make_search, add_scripted_winner, tmp_path, monkeypatch
):
    search = make_search(trials=3)
    add_scripted_winner(search)
    (search.paths.winner / CONFIG_FILE).touch()
    (tmp_path / "shared").mkdir()
    with monkeypatch.context() as other_machine:
        other_machine.setattr("socket.gethostname", lambda: "elsewhere")
        storage = open_storage(str(tmp_path / "shared" / "scripted"))
        RemoteCopy(search.paths, storage).push(running=True)
    with pytest.raises(ResultsError, match=r"scripted is being run by .* on elsewhere"):
        export(search, ExportRequest("onnx", INPUTS))
    with pytest.raises(ResultsError, match=r"scripted is being run by .* on elsewhere"):
        evaluate_on_test(search, INPUTS)


def test_the_arguments_of_a_request_are_those_of_the_command(tmp_path):
    inputs = InputOptions(tmp_path, trust_user_code=True)
    request = ExportRequest("onnx", inputs, tmp_path / "a b", int8=True, max_accuracy_drop=0.05)
    options = parse(["export", "it", *request.arguments])
    assert (options.format, options.int8, options.max_accuracy_drop) == ("onnx", True, 0.05)
    assert (options.out, options.data) == (tmp_path / "a b", tmp_path)
    assert options.trust_user_code
    assert ExportRequest("onnx", INPUTS).arguments == ("--format", "onnx")
