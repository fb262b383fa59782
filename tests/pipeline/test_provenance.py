"""Where figures come from, found without touching it."""

import os
import subprocess
from pathlib import Path

import pytest

import botscalp
from botscalp.pipeline.provenance import _code


def test_git_is_asked_without_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`git status` may write the index again, and a process that is killed then leaves a lock that stops the user's next commit."""
    file = tmp_path / "sources.py"
    file.write_text("1\n")
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "."), (*author, "commit", "-qm", "all of it")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    os.utime(file, (0, 0))  # so that git would have to note that it looked
    before = (tmp_path / ".git/index").read_bytes()
    monkeypatch.setattr(botscalp, "__file__", str(file))
    code = _code()
    assert code["commit"] and code["dirty"] is False
    assert (tmp_path / ".git/index").read_bytes() == before
    file.write_text("2\n")
    assert _code()["dirty"] is True
