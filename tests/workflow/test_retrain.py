"""Retraining: what is trained, kept, restarted and archived. The runs are written without Ray."""

import dataclasses
import json

import pytest

from handsigns.cli import main
from handsigns.config.validate import validate_search_config
from handsigns.data.dataset import open_data
from handsigns.errors import ResultsError
from handsigns.results.journal import Journal
from handsigns.results.networks import NetworkProfile
from handsigns.results.paths import SearchPaths
from handsigns.results.retraining import RetrainingPaths
from handsigns.results.store import DataRecord, create_search, open_search
from handsigns.results.trial import Placement, Session
from handsigns.results.winner import read_model_card
from handsigns.tuning import retraining
from handsigns.tuning.request import SearchResult
from tests.support.records import make_epoch_metrics, make_spec
from tests.support.retraining import plan_of, write_runs

pytestmark = pytest.mark.slow

HERE = Placement("laptop/1", "cpu", 1)
SPACE = {"learning_rate": 0.01, "channel_width": 4, "batch_size": 16}


@pytest.fixture
def search(workspace, tmp_path, monkeypatch):
    """Search with two trials and its data, in the current results folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDSIGNS_CACHE", workspace.environment["HANDSIGNS_CACHE"])
    config, problems = validate_search_config(
        {"space": SPACE, "budget": {"trials": 2, "max_epochs": 2}}
    )
    assert config is not None, problems
    bands = workspace.root / "bands"
    data = open_data(bands, size=16)
    paths = SearchPaths(tmp_path / "results" / "it")
    create_search(paths, config, DataRecord(data.info, str(bands), 16, False))
    journal = Journal(paths.journal, writable=True)
    journal.start_session(Session(data.info.fingerprint, {}))
    for trial_id, loss, width in (("0000", 0.1, 4), ("0001", 0.2, 3)):
        journal.start_trial(make_spec(trial_id, SPACE | {"channel_width": width}))
        journal.report_epoch(trial_id, make_epoch_metrics(1, loss), HERE)
        journal.end_trial(trial_id, "completed")
    journal.end_session("all trials are done", interrupted=False)
    journal.close()
    return open_search(paths), data


@pytest.fixture
def session(monkeypatch):
    """Return the requests to train, none of which is carried out."""
    requests = []

    class Session:
        def __init__(self, request):
            requests.append(request)

        def run(self):
            return SearchResult([], "", interrupted=False)

    monkeypatch.setattr(retraining, "SearchSession", Session)
    return requests


def suggested(request):
    """Return the IDs of the runs that a request starts."""
    journal = Journal(request.paths.journal)
    source = request.make_source(request.config, journal)
    return [source.suggest().trial_id for _ in range(source.remaining)]


def test_a_retraining_without_unfinished_runs_starts_no_ray(search, session, capsys):
    search, data = search
    write_runs(search, data, plan_of(search, search.trial("0"), 2))
    other = write_runs(search, data, plan_of(search, search.trial("1"), 1))
    assert main(["retrain", "it", "--seeds", "2", "--no-report"]) == 0
    assert session == []
    assert "with 2 fresh seeds, " in capsys.readouterr().out
    assert json.loads((search.paths.winner / "metrics.json").read_text())["trial_id"] == "0000"
    assert [path.name for path in (search.paths.root / "retraining").iterdir()] == ["0001"]
    assert len(Journal(other.journal).records) == 1, "runs of another trial are kept"
    assert main(["retrain", "it", "--seeds", "1", "--trial", "1", "--no-report"]) == 0
    assert session == []
    assert not (search.paths.root / "retraining").exists(), "nothing is left"


def test_the_smallest_within_a_margin_is_retrained(search, session, capsys):
    search, data = search
    write_runs(search, data, plan_of(search, search.trial("1"), 1))
    command = ["retrain", "it", "--seeds", "1", "--smallest-within", "0.5%", "--no-report"]
    assert main(command) == 0
    assert session == []
    printed = " ".join(capsys.readouterr().out.split())
    assert "smallest: trial 0001 with 3,648 parameters in place of the winner" in printed
    assert "retrained trial 0001 (selected by smallest)" in printed
    card = read_model_card(search.paths.winner)
    assert (card.trial_id, card.selected_by) == ("0001", "smallest")
    readme = (search.paths.winner / "README.md").read_text()
    assert "chosen for its size (trial 0001 with 3,648 parameters in place of" in readme


def test_sizes_that_a_limited_search_recorded_are_compared(search, session, capsys):
    search, data = search
    spec = make_spec("0002", SPACE | {"channel_width": 8})
    journal = Journal(search.paths.journal, writable=True)
    journal.start_trial(dataclasses.replace(spec, network=NetworkProfile(77, 308)))
    journal.report_epoch("0002", make_epoch_metrics(1, 0.3), HERE)
    journal.end_trial("0002", "completed")
    journal.close()
    search = open_search(search.paths)
    write_runs(search, data, plan_of(search, search.trial("2"), 1))
    assert main(["retrain", "it", "--seeds", "1", "--smallest-within", "1%", "--no-report"]) == 0
    assert session == []
    assert "smallest: trial 0002 with 77 parameters" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("margin", ["0.5", "100%", "half%"])
def test_a_margin_is_a_percentage(margin, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["retrain", "it", "--smallest-within", margin])
    assert ended.value.code == 2
    assert "is not a percentage from 0% to below 100%" in capsys.readouterr().err


def test_a_failed_run_is_reported_and_restarted(search, session):
    search, data = search
    plan = plan_of(search, search.trial("0"), 3)
    paths = write_runs(search, data, plan, failed=[1])
    message = (
        r"run 0000-retraining1 failed: RuntimeError: out of luck\nfull tracebacks: .*jsonl; "
        r".*ray\.log.*retry: .* retrain it --seeds 3"
    )
    with pytest.raises(ResultsError, match=message):
        retraining.retrain(search, data, plan, paths)
    (request,) = session
    assert suggested(request) == ["0000-retraining1"]
    assert not request.validate
    assert request.config.budget.time_budget is request.config.budget.target is None


def test_runs_on_other_images_are_archived(search, session):
    search, data = search
    plan = plan_of(search, search.trial("0"), 2)
    paths = write_runs(search, data, plan, fingerprint="0ther")
    with pytest.raises(ResultsError):
        retraining.retrain(search, data, plan, paths)
    (request,) = session
    assert suggested(request) == plan.run_ids
    assert list(paths.checkpoints.iterdir()) == [], "no run resumes from the old images"
    archived = RetrainingPaths(paths.root.with_name("0000-1"))
    assert len(Journal(archived.journal).records) == 2


def test_checkpoints_of_unknown_runs_are_not_resumed(search, session):
    """They may be of other images: only the journal says which."""
    search, data = search
    plan = plan_of(search, search.trial("0"), 2)
    paths = write_runs(search, data, plan)
    paths.journal.unlink()
    with pytest.raises(ResultsError):
        retraining.retrain(search, data, plan, paths)
    assert suggested(session[0]) == plan.run_ids
    assert list(paths.checkpoints.iterdir()) == []


@pytest.mark.parametrize(
    ("requested", "address", "expected"),
    [
        ({"cpus_per_trial": 1}, None, {"cpus_per_trial": "auto"}),
        ({"accelerator_type": "T4", "gpus_per_trial": 1}, None, {"gpus_per_trial": "auto"}),
        ({"gpus_per_trial": 0.0}, None, {"gpus_per_trial": 0.0, "accelerator_type": None}),
        ({"mps": "on"}, None, {"mps": "auto"}),
        ({"accelerator_type": "T4"}, "10.0.0.1:6379", {"accelerator_type": "T4"}),
    ],
)
def test_runs_without_a_cluster_require_nothing_special(search, requested, address, expected):
    search, _ = search
    resources = search.config.resources.model_copy(update=requested)
    config = search.config.model_copy(update={"resources": resources})
    plan = plan_of(search, search.trial("0"), 2)
    used = retraining._retraining_config(config, plan, address).resources.model_dump()
    assert {name: used[name] for name in expected} == expected


@pytest.mark.parametrize("second", [False, True])
def test_an_interrupt_names_the_command_that_resumes(search, monkeypatch, capsys, second):
    class Session:
        def __init__(self, request):
            assert (request.address, request.exit_on_second_interrupt) == ("1.2.3.4:6379", True)

        def run(self):
            if second:
                raise KeyboardInterrupt
            return SearchResult([], "interrupted by the user", interrupted=True)

    monkeypatch.setattr(retraining, "SearchSession", Session)
    options = ["--trial", "1", "--seeds", "4", "--ensemble", "--address", "1.2.3.4:6379"]
    assert main(["retrain", "it", *options, "--no-report"]) == 130
    command = f"python -m handsigns retrain it {' '.join(options)}"
    assert capsys.readouterr().err == f"interrupted; resume with: {command}\n"
