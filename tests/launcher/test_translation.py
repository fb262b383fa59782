"""Texts from a machine read at home as if they had been written here."""

import json
import os
import string
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_plugins.hydra_ec2_launcher.home.translation import MOST_TEXT_BYTES, TEXT_SUFFIXES, Translation

ROOT = "/home/ubuntu/botscalp/sweep"
WORK = f"{ROOT}/jobs/3/work"
THERE_ID, HOME_ID = "0123456789abcdef" * 2, "fedcba9876543210" * 2
PAIRS = [
    (f"{ROOT}/data/", "/"),
    ("../../../data/", "/"),
    (WORK, "/home/me/project"),
    (f"{WORK}/mlruns", "/mnt/runs"),
    (THERE_ID, HOME_ID),
]
TRANSLATION = Translation(PAIRS)


@pytest.mark.parametrize(
    ("there", "home"),
    [
        (f"sqlite:///{WORK}/mlruns/mlflow.db", "sqlite:////mnt/runs/mlflow.db"),
        (f"file://{WORK}/mlruns/artifacts/s/{THERE_ID}/artifacts", f"file:///mnt/runs/artifacts/s/{HOME_ID}/artifacts"),
        (f'  File "{WORK}/src/job.py", line 3', '  File "/home/me/project/src/job.py", line 3'),
        (f"in {WORK}.", "in /home/me/project."),
        (f"path: {ROOT}/data/bars/BTC.parquet", "path: /bars/BTC.parquet"),
        ("path: ../../../data/bars/BTC.parquet", "path: /bars/BTC.parquet"),
        (f"{WORK}2/x {WORK}.bak /old{WORK}/x {WORK}-1", f"{WORK}2/x {WORK}.bak /old{WORK}/x {WORK}-1"),
        ("../../../../data/x", "../../../../data/x"),
        (f"{WORK}/mlruns2", "/home/me/project/mlruns2"),
        (f"sha256 {THERE_ID}{THERE_ID}", f"sha256 {THERE_ID}{THERE_ID}"),
    ],
)
def test_whole_names_are_translated_and_the_longest_wins(there: str, home: str) -> None:
    assert TRANSLATION.text(there) == home
    assert Translation(PAIRS[::-1]).text(there) == home


names = st.text(string.ascii_letters + string.digits + "_-.", min_size=1, max_size=8).filter(
    lambda name: name.strip(".")
)
folders = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
noise = st.text(max_size=20)
gaps = st.sampled_from([" ", "\n", '"', "=", ": ", "'", ", ", "(", "sqlite:///", "file://"])


@st.composite
def layouts(draw: st.DrawFn) -> list[tuple[str, str]]:
    """The pairs of a job: a machine elsewhere, or one that this computer plays below the folder of the command."""
    cwd = draw(folders)
    root = draw(st.one_of(folders, folders.map(lambda folder: cwd + folder)))
    store = draw(st.one_of(folders, st.just(f"{cwd}/mlruns")))
    work = f"{root}/jobs/3/work"
    return [(f"{root}/data/", "/"), (work, cwd), (f"{work}/mlruns", store), (THERE_ID, HOME_ID)]


@given(layouts(), st.data())
def test_translating_twice_is_translating_once(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    names_there = st.sampled_from([there for there, _ in pairs])
    tails = st.one_of(st.just(""), names.map(lambda name: f"/tail/{name}"))
    pieces = data.draw(st.lists(st.tuples(noise, gaps, names_there, tails), max_size=6))
    text = "".join(part for piece in pieces for part in piece)
    once = Translation(pairs).text(text)
    assert Translation(pairs).text(once) == once


@given(layouts(), noise)
def test_what_names_nothing_of_the_machine_stays(pairs: list[tuple[str, str]], text: str) -> None:
    if not any(there in text for there, _ in pairs):
        assert Translation(pairs).text(text) == text


def test_a_home_below_a_path_of_the_machine_is_not_translated_again() -> None:
    translation = Translation([("/data", "/data/mine")])
    assert translation.text(translation.text("/data/x")) == "/data/mine/x"


@given(st.binary(max_size=60), st.sampled_from([*sorted(TEXT_SUFFIXES), ".png", ".parquet", ".pt", ""]))
def test_binary_files_are_never_touched(some: bytes, suffix: str) -> None:
    content = some + b"\xff\x00" + WORK.encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        path.write_bytes(content)
        inode = path.stat().st_ino
        TRANSLATION.tree(Path(folder))
        assert (path.read_bytes(), path.stat().st_ino) == (content, inode)
        assert list(Path(folder).iterdir()) == [path]


def test_a_tree_keeps_everything_but_the_words(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "models").mkdir(parents=True)
    summary, weights, link = run / "summary.json", run / "models" / "weights.bin", run / "link.txt"
    summary.write_bytes(json.dumps({"path": f"{WORK}/x", "word": "ü"}, ensure_ascii=False).encode() + b"\r\n")
    summary.chmod(0o640)
    os.utime(summary, ns=(1, 1_700_000_000_000_000_000))
    weights.write_bytes(WORK.encode())
    (tmp_path / "outside.txt").write_text(WORK)
    link.symlink_to(tmp_path / "outside.txt")
    TRANSLATION.tree(run)
    assert summary.read_bytes().endswith(b"\r\n")
    assert json.loads(summary.read_text()) == {"path": "/home/me/project/x", "word": "ü"}
    assert (summary.stat().st_mode & 0o777, summary.stat().st_mtime_ns) == (0o640, 1_700_000_000_000_000_000)
    assert weights.read_bytes() == WORK.encode()
    assert link.is_symlink() and (tmp_path / "outside.txt").read_text() == WORK
    inode = summary.stat().st_ino
    TRANSLATION.tree(run)
    assert summary.stat().st_ino == inode


def test_a_large_text_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with path.open("wb") as file:
        file.write(WORK.encode())
        file.truncate(MOST_TEXT_BYTES + 1)
    TRANSLATION.tree(tmp_path)
    with path.open("rb") as file:
        assert file.read(len(WORK)) == WORK.encode()


def test_a_copy_is_written_again_only_when_it_differs(tmp_path: Path) -> None:
    for name in ("log.txt", "weights.bin"):
        source, target = tmp_path / name, tmp_path / "home" / name
        source.write_text(f"{WORK} one")
        TRANSLATION.copy(source, target)
        inode = target.stat().st_ino
        TRANSLATION.copy(source, target)
        assert target.stat().st_ino == inode
        source.write_text(f"{WORK} three")
        TRANSLATION.copy(source, target)
        assert target.read_text().endswith(" three")
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["log.txt", "weights.bin"]
