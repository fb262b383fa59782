"""What comes home of a job counts only if it is that job's, whole, and what it claims to be."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hydra_plugins.hydra_ec2_launcher.home.results import MOST_BYTES, Result, ResultError, differing, read_result

HASH = hashlib.sha256(b"config").hexdigest()
COMPLETED = {"schema": 1, "job": 3, "config_hash": HASH, "status": "completed", "return_value": 0.5, "error": None}
ERROR = {"type": "ValueError", "message": "no bars", "traceback": "Traceback ...\nValueError: no bars"}
FAILED = {**COMPLETED, "status": "failed", "return_value": None, "error": ERROR}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def read(content: bytes, job: int = 3) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        path.write_bytes(content)
        return read_result(path, job=job, config_hash=HASH)


@given(values)
def test_a_completed_job_returns_what_it_wrote(value: Any) -> None:
    content = json.dumps({**COMPLETED, "return_value": value, "changed_folder": True})
    result = read(content.encode())
    assert (result.status, result.error, result.changed_folder) == ("completed", None, True)
    assert json.dumps(result.return_value) == json.dumps(value)
    json.dumps(result.as_dict())


def test_a_failed_job_tells_its_error_and_no_value() -> None:
    assert read(json.dumps({**FAILED, "return_value": 7}).encode()).as_dict() == {
        "status": "failed",
        "return_value": None,
        "error": ERROR,
        "changed_folder": False,
    }


def test_an_error_can_be_printed_whatever_the_machine_wrote() -> None:
    result = read(json.dumps({**FAILED, "error": {**ERROR, "message": "file \udcff \ud800"}}).encode())
    assert result.error is not None
    result.error.message.encode()


@given(st.binary(max_size=200))
def test_bytes_are_no_result(content: bytes) -> None:
    with pytest.raises(ResultError):
        read(content)


@given(values)
def test_json_is_no_result(value: Any) -> None:
    with pytest.raises(ResultError):
        read(json.dumps(value).encode())


@given(st.sampled_from([COMPLETED, FAILED]), st.sampled_from(["schema", "job", "config_hash", "status"]), values)
def test_every_key_that_tells_whose_it_is_has_to_be_right(whole: dict[str, Any], key: str, value: Any) -> None:
    assume(json.dumps(value) != json.dumps(whole[key]))
    assume((key, value) not in [("status", "completed"), ("status", "failed")])
    for known in ({**whole, key: value}, {name: old for name, old in whole.items() if name != key}):
        with pytest.raises(ResultError):
            read(json.dumps(known).encode())


@given(st.text(alphabet="0123456789abcdef", min_size=64, max_size=64).filter(lambda text: text != HASH))
def test_another_config_never_counts(config_hash: str) -> None:
    with pytest.raises(ResultError, match="config_hash"):
        read(json.dumps({**COMPLETED, "config_hash": config_hash}).encode())


@given(values)
def test_an_error_is_three_texts(error: Any) -> None:
    with pytest.raises(ResultError):
        read(json.dumps({**FAILED, "error": error}).encode())


@pytest.mark.parametrize("content", [b"[" * 200_000, b"9" * 10_000, b'{"a":' * 50_000, b" " * (MOST_BYTES + 1), b""])
def test_content_made_to_break_a_reader_is_no_result(content: bytes) -> None:
    with pytest.raises(ResultError):
        read(content)


def test_true_is_no_job_number() -> None:
    with pytest.raises(ResultError, match="job"):
        read(json.dumps({**COMPLETED, "job": True}).encode(), job=1)


def test_an_absent_file_and_a_folder_are_no_results(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.json", tmp_path):
        with pytest.raises(ResultError):
            read_result(path, job=3, config_hash=HASH)


@pytest.fixture
def pulled(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "runs").mkdir(parents=True)
    (folder / "runs" / "one.txt").write_text("one")
    (folder / "two.txt").write_text("two")
    return folder


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_files_that_are_absent_or_differ_are_named(pulled: Path) -> None:
    digests = {
        "runs/one.txt": digest("one"),
        "two.txt": digest("zwei"),
        "three.txt": digest("three"),
        "runs": digest(""),
    }
    assert differing(pulled, digests) == ["two.txt", "three.txt", "runs"]


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_a_file_is_the_same_only_with_the_same_content(here: bytes, there: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "file").write_bytes(here)
        found = differing(Path(folder), {"file": hashlib.sha256(there).hexdigest()})
    assert found == ([] if here == there else ["file"])


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "runs/../../secret",
        "/etc/passwd",
        "",
        ".",
        "out/secret",
        "circle/x",
        "a\0b",
        "\ud800",
        "n" * 5000 + "/x",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(pulled: Path, name: str) -> None:
    (pulled.parent / "secret").write_text("secret")
    os.symlink(pulled.parent, pulled / "out")
    os.symlink("circle", pulled / "circle")
    with pytest.raises(ResultError):
        differing(pulled, {name: digest("secret")})


@given(values | st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=3))
def test_a_list_of_files_is_checked_before_it_is_believed(digests: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            assert differing(Path(folder), digests) == []
        except ResultError:
            return
    assert digests == {}
