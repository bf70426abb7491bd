"""What each kind of place does, and which names are refused."""

import json
import os
import pickle
import stat

import boto3
import pytest

from handsigns.config.load import dump_study, load_study
from handsigns.errors import ConfigError
from handsigns.io.storage import check_writable, open_storage, unusable
from tests.support.s3 import names


@pytest.fixture(params=["folder", "s3"])
def place(request, tmp_path):
    if request.param == "folder":
        return open_storage(str(tmp_path))
    return open_storage(request.getfixturevalue("s3")())


def test_what_was_written_is_read(place):
    place.write("one", b"first")
    place.write("deep/er/two", b"")
    place.write("one", b"second")
    assert (place.read("one"), place.read("deep/er/two")) == (b"second", b"")
    assert names(place) == ["deep/er/two", "one"]
    place.remove("one")
    place.remove("one")
    assert names(place) == ["deep/er/two"]
    with pytest.raises(FileNotFoundError):
        place.read("one")


def test_places_below(place):
    below = place.under("first").under("checkpoints")
    below.prepare()
    below.write("a", b"1")
    assert place.read("first/checkpoints/a") == b"1"
    assert names(below) == ["a"]
    assert names(place.under("none")) == []


def test_it_is_known_by_its_address_in_another_process(place):
    place.write("a", b"1")
    assert open_storage(place.address) == place
    assert pickle.loads(pickle.dumps(place)).read("a") == b"1"


def test_a_probe_leaves_nothing(place):
    check_writable(place)
    assert names(place) == []


def test_a_folder_keeps_the_file_before(tmp_path):
    place = open_storage(str(tmp_path))
    for content in (b"1", b"2", b"3"):
        place.write("latest", content, keep="previous")
    assert (place.read("latest"), place.read("previous")) == (b"3", b"2")


def test_an_unmounted_folder_is_not_created(tmp_path):
    place = open_storage(str(tmp_path / "mnt")).under("first")
    with pytest.raises(OSError, match="mount what is to be there"):
        place.prepare()
    with pytest.raises(FileNotFoundError):
        place.write("a/b", b"1")
    assert not (tmp_path / "mnt").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(PermissionError):
        check_writable(open_storage(str(tmp_path)))


def test_a_bucket_that_is_not_there(s3):
    place = open_storage(s3("none"))
    with pytest.raises(OSError, match=r"NO_SUCH_BUCKET.*s3://none") as raised:
        check_writable(place)
    assert "see that the bucket is there" in unusable(place.address, raised.value)


def test_credentials_are_the_right_ones_or_it_is_told(serve_s3, s3, monkeypatch):
    with serve_s3("127.0.0.1", open_actions=4) as server:
        iam = boto3.client("iam", endpoint_url=f"http://{server}", region_name="us-east-1")
        iam.create_user(UserName="searcher")
        allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="searcher", PolicyName="all", PolicyDocument=policy)
        key = iam.create_access_key(UserName="searcher")["AccessKey"]

        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none of its own")
        place = open_storage(s3(server=server)).under("wrong")
        with pytest.raises(OSError, match=r"SIGNATURE_DOES_NOT_MATCH|ACCESS_DENIED") as raised:
            check_writable(place)
        assert "AWS_SECRET_ACCESS_KEY" in unusable(place.address, raised.value)

        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        check_writable(open_storage(s3(server=server)).under("right"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ftp://host/runs", "ftp is none of the stores that are known"),
        ("s3://key:secret@bucket/runs", "credentials in it would be kept in files"),
        ("s3://bucket/runs?secret_key=abc", "secret_key is not known.*credentials in it would"),
        ("abfs://c@a.dfs.core.windows.net/runs?sv=1&sig=abc", "sv, sig is not known"),
        ("abfs://c@a.dfs.core.windows.net/runs?client%5Fsecret=abc", "client_secret is not known"),
        ("~nobody-of-that-name/runs", "home directory"),
        ("s3://", "names no bucket"),
        ("gs:///", "names no bucket"),
    ],
)
def test_what_is_no_place(text, problem, tmp_path):
    with pytest.raises(ConfigError, match=problem):
        open_storage(text)
    space = tmp_path / "space.yaml"
    space.write_text(f"space: {{dropout: 0.1}}\nstorage: {text}\n")
    with pytest.raises(ConfigError, match=rf"line 2, storage: .*{problem}"):
        load_study(space)


def test_a_folder_is_kept_by_its_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text("space: {dropout: 0.1}\nstorage: shared/runs\n")
    study = load_study(tmp_path / "space.yaml")
    assert study.storage == str(tmp_path / "shared/runs")
    (tmp_path / "again.yaml").write_text(dump_study(study))
    assert load_study(tmp_path / "again.yaml") == study
