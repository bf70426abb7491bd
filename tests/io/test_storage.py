"""Each kind of storage, and which locations are rejected."""

import json
import os
import pickle
import stat

import boto3
import pytest

from handsigns.config.load import dump_search_config, load_search_config
from handsigns.errors import ConfigError
from handsigns.io.storage import check_writable, open_storage, storage_error_message
from tests.support.s3 import list_files


@pytest.fixture(params=["folder", "s3"])
def storage(request, tmp_path):
    if request.param == "folder":
        return open_storage(str(tmp_path))
    return open_storage(request.getfixturevalue("s3")())


def test_reads_back_what_was_written(storage):
    storage.write("one", b"first")
    storage.write("deep/er/two", b"")
    storage.write("one", b"second")
    assert (storage.read("one"), storage.read("deep/er/two")) == (b"second", b"")
    assert list_files(storage) == ["deep/er/two", "one"]
    storage.remove("one")
    storage.remove("one")
    assert list_files(storage) == ["deep/er/two"]
    with pytest.raises(FileNotFoundError):
        storage.read("one")


def test_subfolders(storage):
    subfolder = storage.joinpath("first").joinpath("checkpoints")
    subfolder.create()
    subfolder.write("a", b"1")
    assert storage.read("first/checkpoints/a") == b"1"
    assert list_files(subfolder) == ["a"]
    assert list_files(storage.joinpath("none")) == []


def test_names_are_those_of_files_outside_subfolders(storage):
    for name in ("one", "two", "deep/three"):
        storage.write(name, b"")
    assert storage.names() == {"one", "two"}
    assert storage.joinpath("none").names() == set()


def test_storage_can_be_reopened_by_uri_or_pickle(storage):
    storage.write("a", b"1")
    assert open_storage(storage.uri) == storage
    assert pickle.loads(pickle.dumps(storage)).read("a") == b"1"


def test_write_probe_leaves_no_files(storage):
    check_writable(storage)
    assert list_files(storage) == []


def test_folder_keeps_a_backup_of_the_previous_file(tmp_path):
    storage = open_storage(str(tmp_path))
    for content in (b"1", b"2", b"3"):
        storage.write("latest", content, backup="previous")
    assert (storage.read("latest"), storage.read("previous")) == (b"3", b"2")


def test_temporary_files_in_subfolders_are_removed(tmp_path):
    (tmp_path / "predictions").mkdir()
    for name in (".0001.safetensors.1-a.tmp", ".0002.safetensors.1-a.tmp", "0001.safetensors"):
        (tmp_path / "predictions" / name).touch()
    storage = open_storage(str(tmp_path))
    storage.remove_temporary_files(prefix="0001.")
    assert list_files(storage) == [
        "predictions/.0002.safetensors.1-a.tmp",
        "predictions/0001.safetensors",
    ]
    storage.remove_temporary_files()
    assert list_files(storage) == ["predictions/0001.safetensors"]


def test_unmounted_folder_is_not_created(tmp_path):
    storage = open_storage(str(tmp_path / "mnt")).joinpath("first")
    with pytest.raises(OSError, match="mount its file system"):
        storage.create()
    with pytest.raises(FileNotFoundError):
        storage.write("a/b", b"1")
    assert not (tmp_path / "mnt").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_read_only_folder_is_rejected(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(PermissionError):
        check_writable(open_storage(str(tmp_path)))


def test_missing_bucket_is_reported(s3):
    storage = open_storage(s3("none"))
    with pytest.raises(OSError, match=r"NO_SUCH_BUCKET.*s3://none") as raised:
        check_writable(storage)
    assert "check that the bucket exists" in storage_error_message(storage.uri, raised.value)


def test_wrong_credentials_are_reported(serve_s3, s3, monkeypatch):
    with serve_s3("127.0.0.1", open_requests=4) as server:
        iam = boto3.client("iam", endpoint_url=f"http://{server}", region_name="us-east-1")
        iam.create_user(UserName="searcher")
        allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="searcher", PolicyName="all", PolicyDocument=policy)
        key = iam.create_access_key(UserName="searcher")["AccessKey"]

        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not its secret")
        storage = open_storage(s3(server=server)).joinpath("denied")
        with pytest.raises(OSError, match=r"SIGNATURE_DOES_NOT_MATCH|ACCESS_DENIED") as raised:
            check_writable(storage)
        assert "AWS_SECRET_ACCESS_KEY" in storage_error_message(storage.uri, raised.value)

        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        check_writable(open_storage(s3(server=server)).joinpath("granted"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ftp://host/runs", "unknown scheme ftp"),
        ("s3://key:secret@bucket/runs", "credentials in it would be written to files"),
        ("abfss://c:key@a.dfs.core.windows.net/runs", "unknown: the password before @"),
        ("hdfs://me:secret@host:8020/runs", "credentials in it would be written to files"),
        ("s3://bucket/runs?secret_key=abc", "unknown: secret_key.*credentials in it would"),
        ("abfs://c@a.dfs.core.windows.net/runs?sv=1&sig=abc", "unknown: sv, sig"),
        ("abfs://c@a.dfs.core.windows.net/runs?client%5Fsecret=abc", "unknown: client_secret"),
        ("~nobody-of-that-name/runs", "home directory"),
        ("s3://", "names no bucket"),
        ("gs:///", "names no bucket"),
    ],
)
def test_invalid_locations_are_rejected(text, problem, tmp_path):
    with pytest.raises(ConfigError, match=problem):
        open_storage(text)
    space = tmp_path / "space.yaml"
    space.write_text(f"space: {{dropout: 0.1}}\nstorage: {text}\n")
    with pytest.raises(ConfigError, match=rf"line 2, storage: .*{problem}"):
        load_search_config(space)


@pytest.mark.parametrize("location", ["/mnt/a\0", "s3://a\nb/runs", "/mnt/\udcff"])
def test_locations_with_control_characters_or_surrogates_are_rejected(location):
    with pytest.raises(ConfigError, match="contains control characters or is not UTF-8; rename it"):
        open_storage(location)


def test_relative_folder_is_stored_as_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text("space: {dropout: 0.1}\nstorage: shared/runs\n")
    config = load_search_config(tmp_path / "space.yaml")
    assert config.storage == str(tmp_path / "shared/runs")
    (tmp_path / "dumped.yaml").write_text(dump_search_config(config))
    assert load_search_config(tmp_path / "dumped.yaml") == config
