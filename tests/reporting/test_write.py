"""The report's files: complete, small, and safe from hostile names."""

import csv
import dataclasses
import html.parser
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import get_args

import pytest
from vl_convert import vegalite_to_svg

from handsigns.cli import main
from handsigns.cli.parser import parse
from handsigns.config.sections import Scheduler
from handsigns.data.findings import ImageRef
from handsigns.errors import ResultsError
from handsigns.reporting import page as page_module
from handsigns.reporting.compare import compare, write_comparison
from handsigns.reporting.figures.parallel import parallel_coordinates
from handsigns.reporting.follow import follow
from handsigns.reporting.page import json_in_html
from handsigns.reporting.write import PageKind, write_report
from handsigns.results.journal import Journal
from handsigns.results.search_lock import search_lock
from handsigns.results.store import open_search
from handsigns.results.suspects import LeakEffect, SuspectLabel, SuspectLabels, write_suspects
from handsigns.results.test_result import read_test_result, write_test_result
from handsigns.results.trial import Placement
from handsigns.results.winner import read_model_card, write_model_card
from tests.support.records import make_epoch_metrics, make_spec
from tests.support.scripted import HOSTILE_STRINGS

pytestmark = pytest.mark.slow

MEGABYTE = 1_000_000
TEMPLATES = Path(page_module.__file__).parent / "templates"


class Elements(html.parser.HTMLParser):
    """Parser of a page's elements, with their attributes, and the text of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.found, self.scripts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.found and self.found[-1][0] == "script":
            self.scripts.append(data)


def payload_of(page):
    text = page.read_text()
    return json.loads(re.search(r'id="payload">(.*?)</script>', text).group(1))


@pytest.mark.versions
def test_report_writes_all_files(make_search, add_scripted_winner, tmp_path):
    search = make_search(trials=14)
    add_scripted_winner(search)
    page = write_report(search, tmp_path / "out")
    payload = payload_of(page)
    figures = {path.stem for path in (tmp_path / "out" / "figures").glob("*.svg")}
    assert figures == set(payload["figures"])
    assert figures == {path.stem for path in (tmp_path / "out" / "figures").glob("*.png")}
    expected = {"best_over_time", "learning_curves", "rungs", "timeline", "importance"}
    expected |= {"parallel_coordinates", "slice_dropout", "confusion_matrix", "calibration"}
    assert expected <= figures
    rows = list(csv.DictReader((tmp_path / "out" / "leaderboard.csv").open()))
    assert [row["trial_id"] for row in rows] == [r.trial_id for r in search.ranked]
    assert (tmp_path / "out" / "leaderboard.md").read_text().startswith("| rank |")
    assert "<table>" in (tmp_path / "out" / "leaderboard.html").read_text()
    text = page.read_text()
    assert "94.44%" in text
    assert "204/216 correct" in text
    assert "optimistic: the best trial was selected on these images" in text
    assert "81.9%–98.5%" in text, "the interval of 34 of 36"
    assert f"replay scripted {search.trial(None).trial_id}" in text
    assert "opened 2 times" in text


@pytest.mark.parametrize("trials", [0, 1, 2])
def test_searches_of_few_trials(make_search, tmp_path, trials):
    page = write_report(make_search(trials=trials), tmp_path / "out")
    assert ("No trial has a result" in page.read_text()) == (trials == 0)


def test_search_with_only_failed_trials(make_search, tmp_path):
    search = make_search(trials=0)
    journal = Journal(search.paths.journal, writable=True)
    for number in range(3):
        journal.start_trial(make_spec(f"{number:04d}", {"learning_rate": 0.001 * (number + 1)}))
        journal.end_trial(f"{number:04d}", "failed", "out of memory")
    journal.close()
    page = write_report(open_search(search.paths), tmp_path / "out", figures=False)
    assert "No trial has a result" in page.read_text()
    assert "3 of 3 trials failed" in page.read_text()


def test_report_does_not_modify_the_search(make_search, tmp_path):
    search = make_search(trials=8, end=False)
    copy = tmp_path / "elsewhere" / "copied"
    shutil.copytree(search.paths.root, copy)
    before = {path: path.stat().st_mtime_ns for path in search.paths.root.rglob("*")}
    write_report(search, tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in search.paths.root.rglob("*")} == before
    write_report(open_search(type(search.paths)(copy)), tmp_path / "out2", figures=False)


def test_damaged_files_give_warnings(make_search, add_scripted_winner, tmp_path):
    search = make_search(trials=3)
    add_scripted_winner(search)
    (search.paths.winner / "test.json").write_text("{")
    search.paths.environment.write_text("[")
    text = write_report(search, tmp_path / "out", figures=False).read_text()
    assert "test.json is damaged" in text
    assert "environment.json is damaged" in text


def test_a_damaged_reevaluation_is_an_error_with_its_remedy(make_search, tmp_path):
    search = make_search(trials=3)
    search.paths.reevaluation.root.mkdir()
    search.paths.reevaluation.plan.write_text("{")
    with pytest.raises(ResultsError, match=r"(?s)plan\.json is damaged .*reevaluate scripted"):
        write_report(search, tmp_path / "out", figures=False)


def test_figures_name_rungs_only_where_there_are_some(make_search, tmp_path):
    search = make_search(trials=6)
    for scheduler, has_rungs in (("asha", True), ("median", False), ("none", False)):
        config = search.config.model_copy(update={"scheduler": Scheduler(name=scheduler)})
        changed = dataclasses.replace(search, config=config)
        page = write_report(changed, tmp_path / scheduler, figures=False)
        text = page.read_text()
        for named in ("Rungs at epochs", "rungs, where trials", "Trials per rung", "each rung"):
            assert (named in text) == has_rungs
        assert ("quarters of the epochs" in text) != has_rungs


def test_figure_files_of_an_earlier_report_are_not_linked(make_search, tmp_path):
    search = make_search(trials=3)
    for figures in (True, False):
        page = write_report(search, tmp_path / "out", figures=figures).read_text()
        assert ('href="figures/' in page) == figures
        assert ("also in the folder figures/" in page) == figures


def test_an_inactive_custom_hyperparameter_is_a_dash_in_its_trial(make_search, tmp_path):
    space = {
        "loss": "mine:loss",
        "optimizer": {"type": "choice", "values": ["adamw", "sgd"]},
        "custom": {"depth": {"type": "integer", "low": 1, "high": 9, "when": {"optimizer": "sgd"}}},
    }
    paths = make_search(trials=0, space=space).paths
    journal = Journal(paths.journal, writable=True)
    journal.start_trial(make_spec("0000", {"optimizer": "sgd", "custom.depth": 3}))
    journal.start_trial(make_spec("0001", {"optimizer": "adamw"}))
    journal.close()
    payload = payload_of(write_report(open_search(paths), tmp_path / "out", figures=False))
    position = payload["hyperparameters"].index("custom.depth")
    values = [trial["config"][position] for trial in payload["trials"].values()]
    assert values == [3, "–"]


def test_parallel_coordinates_have_lines_over_custom_hyperparameters(make_search):
    space = {
        "loss": "mine:loss",
        "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1},
        "custom": {"depth": {"type": "integer", "low": 1, "high": 9}},
    }
    paths = make_search(trials=0, space=space).paths
    journal = Journal(paths.journal, writable=True)
    for number in range(3):
        params = {"learning_rate": 0.001, "custom.depth": 2 + number}
        journal.start_trial(make_spec(f"{number:04d}", params))
        metrics = make_epoch_metrics(1, 0.5 - number / 10)
        journal.report_epoch(f"{number:04d}", metrics, Placement("here/1", "cpu", 1))
        journal.end_trial(f"{number:04d}", "completed")
    journal.close()
    figure = parallel_coordinates(open_search(paths))
    svg = vegalite_to_svg(figure.full_spec("light", 560))
    assert len(re.findall(r'd="M[\d.,]+L[\d.,]+L[\d.,]+"', svg)) == 3


def test_a_foreign_page_is_not_overwritten(make_search, tmp_path):
    (tmp_path / "index.html").write_text("my own notes")
    with pytest.raises(ResultsError, match="is not a search report"):
        write_report(make_search(trials=1), tmp_path)
    assert (tmp_path / "index.html").read_text() == "my own notes"


def test_a_page_of_another_kind_is_not_overwritten(make_search, tmp_path):
    search, *others = (make_search(name, trials=1) for name in ("compare-a-b", "a", "b"))
    page = write_comparison(compare(others), others, tmp_path)
    before = page.read_text()
    with pytest.raises(ResultsError, match="is not a search report"):
        write_report(search, tmp_path)
    assert page.read_text() == before


def test_titles_of_pages_end_with_their_kind():
    templates = [path.read_text() for path in TEMPLATES.glob("*.j2")]
    titles = [re.search(r"block title %}.* – (.*?){% endblock", text) for text in templates]
    kinds = {title.group(1) for title in titles if title}
    assert kinds == set(get_args(PageKind))


def test_a_report_is_not_written_into_a_search(make_search):
    search = make_search(trials=1)
    before = sorted(search.paths.root.iterdir())
    with pytest.raises(ResultsError, match="holds a search; choose another folder"):
        write_report(search, search.paths.root)
    assert sorted(search.paths.root.iterdir()) == before


def test_overlap_of_test_and_training_images_is_reported(
    make_search, add_scripted_winner, tmp_path
):
    search = make_search(trials=4)
    add_scripted_winner(search)
    page = write_report(search, tmp_path / "report", figures=False).read_text()
    assert (
        "15 of the test images have near-duplicates in train or val; of the other 201, 190 are"
        in page
    )
    assert "classified correctly (94.5%)" in page


def test_suspect_labels_are_shown_with_what_models_see(make_search, tmp_path):
    search = make_search(trials=4)
    name = HOSTILE_STRINGS[0]
    suspect = SuspectLabel(
        ImageRef("train", name, name, "/9j/"), "5", 0.875, 1.0, 3, (("5", 0.875), (name, 0.1)), "ab"
    )
    images = {"train": 690, "val": 173}
    found = SuspectLabels(
        search.data.info.fingerprint,
        8,
        {"train": 0, "val": 173},
        images,
        0.98,
        0.01,
        173,
        1,
        1,
        (suspect,),
        LeakEffect(12, 8, 0.971, 0.965),
    )
    write_suspects(search.paths, found)
    page = write_report(search, tmp_path / "out", figures=False).read_text()
    assert 'src="data:image/jpeg;base64,/9j/"' in page
    assert "3 of 3 models agree" in page
    assert "reevaluate scripted --folds 4" in page
    assert "the mean accuracy of 8 good models is 96.50%, not 97.10%." in page
    assert name not in page


def test_page_of_a_thousand_trials_stays_small(make_search, add_scripted_winner, tmp_path):
    search = make_search(trials=1000, slots=8)
    add_scripted_winner(search)
    page = write_report(search, tmp_path / "out", figures=False)
    assert page.stat().st_size < 5 * MEGABYTE
    payload = payload_of(page)
    assert len(payload["trials"]) == 1000
    assert "120 of " in page.read_text()  # where not all are plotted


def test_external_text_never_becomes_markup(make_search, add_scripted_winner, tmp_path):
    plain = make_search("plain", trials=14)
    hostile = make_search("hostile", trials=14, hostile=True)
    add_scripted_winner(plain)
    add_scripted_winner(hostile)
    tags = []
    for search in (plain, hostile):
        folder = tmp_path / search.paths.name
        page = write_report(search, folder, figures=search is hostile)
        found = Elements(page.read_text()).found
        assert not [a for _, attributes in found for a in attributes if a.startswith("on")]
        images = [attributes["src"] for tag, attributes in found if tag == "img"]
        assert len(images) == 12
        assert all(source.startswith("data:image/png;base64,") for source in images)
        tags.append([tag for tag, _ in found if tag in ("script", "img", "style", "iframe", "a")])
        table = Elements((folder / "leaderboard.html").read_text()).found
        assert not [tag for tag, _ in table if tag in ("script", "img")]
    # The same elements for any names, except links to the figures' files.
    assert [t for t in tags[0] if t != "a"] == [t for t in tags[1] if t != "a"]
    for figure in (tmp_path / "hostile" / "figures").glob("*.svg"):
        elements = Elements(figure.read_text()).found
        assert not {tag for tag, _ in elements} & {"script", "img", "foreignobject", "a"}
        assert not [name for _, attributes in elements for name in attributes if name[:2] == "on"]


def test_content_security_policy_forbids_requests_and_other_scripts(make_search, tmp_path):
    text = write_report(make_search(trials=2), tmp_path / "out", figures=False).read_text()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "unsafe" not in rules["script-src"]
    assert not re.search(r'(src|href)="(https?:)?//', text)


def test_json_cannot_end_a_script_element():
    text = json_in_html({"</script>": "<!-- & \u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"</script>": "<!-- & \u2028"}


def test_follow_rewrites_the_report_until_the_search_ends(make_search, tmp_path):
    search = make_search(trials=4)
    pages = []
    with search_lock(search.paths):

        def wait(seconds):
            raise InterruptedError

        with pytest.raises(InterruptedError):
            follow(search.paths, tmp_path / "out", lambda s, p: pages.append(p.read_text()), wait)
    assert "data-reload=" in pages[0]
    assert "leads so far" not in pages[0], "the search had already finished"
    follow(search.paths, tmp_path / "out", lambda s, p: pages.append(p.read_text()))
    assert "data-reload=" not in pages[-1]


@pytest.mark.parametrize("classes", [26, 1000])
def test_many_classes_stay_readable(make_search, add_scripted_winner, tmp_path, classes):
    search = make_search(trials=12, classes=classes)
    add_scripted_winner(search)
    page = write_report(search, tmp_path / "out", figures=False)
    assert page.stat().st_size < 5 * MEGABYTE
    text = page.read_text()
    rows = [a for tag, a in Elements(text).found if tag == "th" and a.get("scope") == "row"]
    assert len(rows) == 2 * min(classes, 40)
    assert ("The 40 classes with the fewest training images of 1000" in text) == (classes > 40)
    assert ("the 40 of 1000 classes with the lowest recall" in text) == (classes > 40)
    figure = payload_of(page)["figures"]["confusion_matrix"]
    assert len(figure["data"]["rows"]) == (26 * 26 if classes == 26 else 25)


def test_failed_trials_are_summarised_in_one_line(make_search, tmp_path):
    text = write_report(make_search(trials=8), tmp_path / "out", figures=False).read_text()
    assert "1 of 8 trials failed: RuntimeError: " in text
    assert "For the traceback, open 0005 in the leaderboard" in text
    row = re.search(r'<tr data-trial="0005".*?</tr>', text, re.DOTALL).group()
    assert re.search(r"<td[^>]*>–</td>", row), "it is unranked"


def commands_of(page):
    found = Elements(page.read_text()).found
    return [a["data-copy"].split()[1] for _, a in found if "data-copy" in a]


def test_a_running_search_has_only_a_leader(make_search, tmp_path):
    search = make_search(trials=9, end=False)
    with search_lock(search.paths):
        page = write_report(search, tmp_path / "out", reload_seconds=5, figures=False)
    text = page.read_text()
    finished = sum(record.is_finished for record in search.journal.records)
    best = search.trial(None).trial_id
    assert f"Trial {best} leads so far, with {finished} of 9 trials finished" in text
    assert "won" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL).split()
    assert commands_of(page) == []
    page = write_report(open_search(search.paths), tmp_path / "out", figures=False)
    assert commands_of(page) == ["resume"]


def test_only_remaining_commands_are_listed(make_search, add_scripted_winner, tmp_path):
    search = make_search(trials=6)
    page = write_report(search, tmp_path / "out", figures=False)
    assert commands_of(page) == ["reevaluate", "retrain", "test", "replay"]
    add_scripted_winner(search)
    page = write_report(search, tmp_path / "out", figures=False)
    assert commands_of(page) == ["predict", "replay"]
    (search.paths.winner / "test.json").unlink()
    search.paths.test_ledger.unlink()
    page = write_report(search, tmp_path / "out", figures=False)
    assert commands_of(page) == ["reevaluate", "test", "predict", "replay"]


@pytest.mark.parametrize("selected_by", ["user", "smallest"])
def test_a_winner_the_user_chose_is_not_retrained_again(
    make_search, add_scripted_winner, tmp_path, selected_by
):
    search = make_search(trials=6)
    add_scripted_winner(search)
    folder = search.paths.winner
    (folder / "test.json").unlink()
    card = dataclasses.replace(
        read_model_card(folder),
        trial_id=search.ranked[1].trial_id,
        selected_by=selected_by,
        selected_after_test=True,
    )
    write_model_card(folder, card)
    page = write_report(search, tmp_path / "out", figures=False)
    assert commands_of(page) == ["reevaluate", "test", "predict", "replay"]
    assert "test scripted --after-test" in page.read_text()


def test_a_search_in_use_offers_no_commands(make_search, tmp_path):
    search = make_search(trials=6)
    with search_lock(search.paths):
        page = write_report(search, tmp_path / "out", figures=False)
    assert commands_of(page) == []


def test_commands_of_a_search_with_user_code_trust_it(make_search, tmp_path):
    search = make_search(trials=6)
    search.paths.user_code.mkdir()
    found = Elements(write_report(search, tmp_path / "out", figures=False).read_text()).found
    lines = [a["data-copy"] for _, a in found if "data-copy" in a]
    assert [line.split()[1] for line in lines] == ["reevaluate", "retrain", "test", "replay"]
    for line in lines:
        assert parse(shlex.split(line)[1:]).trust_user_code


@pytest.mark.parametrize(
    ("selected_by", "reason"),
    [
        ("rank", "is no longer the best"),
        ("user", "was picked by hand"),
        ("smallest", "was chosen for its size"),
    ],
)
def test_report_says_why_another_trial_was_tested(
    make_search, add_scripted_winner, tmp_path, selected_by, reason
):
    search = make_search(trials=6)
    add_scripted_winner(search)
    folder, other = search.paths.winner, search.ranked[1].trial_id
    tested = dataclasses.replace(read_test_result(folder), trial_id=other, selected_by=selected_by)
    write_test_result(folder, tested)
    text = write_report(search, tmp_path / "out", figures=False).read_text()
    best = search.winner.trial_id
    assert f"comes from trial {other}, which {reason}; the best is trial {best}." in text


def test_report_command_prints_the_page(make_search, tmp_path, capsys):
    make_search("mine", trials=3)
    options = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
    assert main(["report", "mine", *options]) == 0
    assert str(tmp_path / "reports" / "mine" / "index.html") in capsys.readouterr().out
    assert main(["report", "mine", "--follow", *options]) == 0
    assert "mine is no longer running" in capsys.readouterr().out
    assert main(["report", "other", *options]) == 2


def test_replay_commands_of_trials_keep_the_search_name(make_search, tmp_path):
    search = make_search("my-TRIAL", trials=3)
    line = payload_of(write_report(search, tmp_path / "out", figures=False))["replay"]
    script = (TEMPLATES / "page.js").read_text()
    placeholder = re.search(r'payload\.replay\.replace\("(.+?)", id\)', script).group(1)
    words = shlex.split(line.replace(placeholder, "0002", 1))
    assert words[:4] == ["handsigns", "replay", "my-TRIAL", "0002"]
