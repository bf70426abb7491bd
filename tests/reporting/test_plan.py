import dataclasses
import json

import pytest
import yaml

import handsigns
from handsigns.cli import main
from handsigns.config.user_code import UserCode, read_module, save_user_code
from handsigns.policy.forecast import Estimate, Forecast, Target
from handsigns.reporting.plan import notes, plan_columns, plan_rows, verdicts, write_plan
from handsigns.results.journal import Journal
from handsigns.results.trial import Session
from tests.support.scripted import SPACE

EASY, HARD = Target(0.1, 0.12), Target(0.01, 0.05)


@pytest.fixture
def forecast():
    """Forecast in which more than four workers don't pay, and a target is out of reach."""
    times = {1: 7200.0, 4: 1700.0, 16: 1500.0}
    estimates = [
        estimate
        for workers, seconds in times.items()
        for estimate in (
            Estimate(workers, EASY, 20, 20, seconds, (0.5 * seconds, 2 * seconds), 90,
                     seconds * workers / 3600, seconds * workers / 3600 * 2.5),
            Estimate(workers, HARD, 20, 3, None, (90_000.0, None), None, None, None),
        )
    ]  # fmt: skip
    return Forecast("pilot", "val_loss", 40, 12, 0.2, 0.3, 0.9, 0.08, tuple(estimates))


def test_the_table_has_times_intervals_and_costs(forecast):
    rows = plan_rows(forecast)
    assert plan_columns(forecast)[-1] == "cost"
    assert rows[0] == ["1", "best 10% (0.1200)", "2h", "1h to 4h", "90", "2", "5.00"]
    assert rows[1] == ["1", "best 1% (0.0500)", "–", "1d1h to –", "–", "–", "–"]
    without = [dataclasses.replace(estimate, cost=None) for estimate in forecast.estimates]
    assert "cost" not in plan_columns(dataclasses.replace(forecast, estimates=tuple(without)))


def test_verdicts_say_where_workers_stop_paying(forecast):
    easy, hard = verdicts(forecast)
    assert easy.startswith("Best 10% (0.1200): 28m with 4 workers; beyond, doubling")
    assert "do not reach it" in hard


def test_notes_state_errors_and_extrapolation(forecast):
    text = "\n".join(notes(forecast))
    assert "40 trials of pilot, 12 of them" in text
    assert "of the modelled final loss 30%, of that of a completed trial extrapolated" in text
    assert "paused or stopped 20% (" in text
    assert "val_loss of the best 1% (the best reached 0.0800)" in text
    assert "Starting Ray" in text
    assert "plan from more trials" not in text
    weak = dataclasses.replace(forecast, explained_variance=0.3, best_recorded=0.01)
    assert "plan from more trials" in "\n".join(notes(weak))
    assert "No recorded trial" not in "\n".join(notes(weak))
    score = dataclasses.replace(weak, metric="val_accuracy", explained_variance=-0.05)
    assert "explains only 0% of the variance of the odds of an error" in "\n".join(notes(score))


def test_small_prices_are_not_rounded_to_zero(forecast):
    cheap = dataclasses.replace(forecast.estimates[0], cost=0.0012)
    assert plan_rows(dataclasses.replace(forecast, estimates=(cheap,)))[0][-1] == "0.0012"


def test_verdict_says_that_fewer_workers_fall_short(forecast):
    estimates = [
        dataclasses.replace(forecast.estimates[0], seconds=None),
        dataclasses.replace(forecast.estimates[0], workers=16, seconds=300.0),
    ]
    (verdict,) = verdicts(dataclasses.replace(forecast, estimates=tuple(estimates)))
    assert "5m with 16 workers, and fewer mostly do not reach it" in verdict
    assert "each doubling" not in verdict


def test_the_page_has_figure_and_table(forecast, tmp_path):
    page = write_plan(forecast, tmp_path / "out")
    text = page.read_text()
    assert "28m with 4 workers" in text
    assert text.count('<td class="text">') == 6
    assert (page.parent / "figures" / "time_over_workers.svg").stat().st_size > 2000


@pytest.mark.slow
def test_plan_forecasts_from_a_stored_search(make_search, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_search("pilot", trials=30)
    arguments = ["plan", "--from", "pilot", "--workers", "4", "--price", "2", "--seeds", "9"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "30 trials of pilot" not in out, "a failed trial has no curve"
    page = tmp_path / "reports" / "plan-pilot" / "index.html"
    assert page.is_file()
    assert main([*arguments, "--format", "json"]) == 0
    fields = json.loads(capsys.readouterr().out)
    found = handsigns.plan("pilot", workers=[4], price=2, seeds=9, reports=None)
    assert fields == json.loads(json.dumps(dataclasses.asdict(found))), "deterministic"
    assert [e.workers for e in found.estimates] == [4, 4, 4]
    assert all(e.cost == 2 * e.worker_hours for e in found.estimates if e.cost is not None)


def test_plan_reads_a_search_whose_space_was_narrowed(make_search, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    search = make_search("pilot", trials=60)
    config = yaml.safe_load(search.paths.search_config.read_text())
    config["space"]["batch_size"]["values"] = [32, 64]
    search.paths.search_config.write_text(yaml.safe_dump(config))
    found = handsigns.plan("pilot", workers=[4], seeds=9, reports=None)
    within = [r for r in search.journal.records if r.params["batch_size"] != 16]
    assert found.trials <= len(within) < 60


NETWORK = """
from torch import nn

def build(config, classes, size):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, classes))
"""


@pytest.mark.slow
def test_limits_need_the_user_code_of_the_networks(make_search, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = SPACE | {"architecture": "mine:build"}
    stored = make_search("pilot", trials=30, space=space)
    (tmp_path / "mine.py").write_text(NETWORK)
    code = UserCode({"mine": read_module("mine", tmp_path / "mine.py")})
    save_user_code(stored.paths.user_code, code)
    journal = Journal(stored.paths.journal, writable=True)
    journal.start_session(
        Session(stored.data.info.fingerprint, {"user_code": code.code_metadata()})
    )
    journal.end_session("all trials are done", interrupted=False)
    journal.close()
    (tmp_path / "mine.py").unlink()
    (tmp_path / "limited.yaml").write_text(
        f"space: {json.dumps(space)}\nbudget: {{trials: 4, max_epochs: 36}}\n"
        "limits: {parameters: 100k}"
    )
    arguments = ["plan", "limited.yaml", "--from", "pilot", "--workers", "4", "--seeds", "9"]
    assert main(arguments) == 2
    assert "--trust-user-code" in capsys.readouterr().err
    assert main([*arguments, "--trust-user-code"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "search SPACE --time-budget 5m --name pilot"),
        (["default"], "search default --time-budget 5m --name pilot"),
        (["--from", "absent"], "no search named absent"),
        (["--from", "short"], "6 trials ended or paused, "),
        (["default", "--from", "short"], "optimizer is in the recorded space only"),
        (["--from", "short", "--workers", "0,4"], "--workers: 0 is not between 1 and 256"),
        (["--from", "short", "--seeds", "3"], "--seeds: an 80 % interval needs at least 9"),
        (["--from", "short", "--price", "-1"], "--price: -1 is not above 0"),
    ],
)
def test_plan_says_what_is_missing(make_search, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    make_search("short", trials=6, with_failures=False)
    assert main(["plan", *arguments]) == 2
    assert message in capsys.readouterr().err
