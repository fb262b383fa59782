"""A file of options that cannot be used ends with exit code 2 and one message that names it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from malformed import MALFORMED
from mistakes import MISTAKES
from runs import Outcome, several

WORDS = ("--config-dir", "options", "tracking=none", "data.start=2023-01-01", "data.end=2023-02-20")


@pytest.fixture(scope="module")
def outcomes(once: Callable[[str, Callable[[Path], object]], Path]) -> dict[str, Outcome]:
    def make(folder: Path) -> None:
        (folder / "options" / "experiment").mkdir(parents=True)
        for name, (text, _) in MALFORMED.items():
            path = folder / "options" / "experiment" / f"{name}.yaml"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        made = several([("train", [*WORDS, f"experiment={name}"]) for name in MALFORMED], cwd=folder)
        (folder / "outcomes.json").write_text(json.dumps(made))

    made = json.loads((once("malformed", make) / "outcomes.json").read_text())
    return dict(zip(MALFORMED, made, strict=True))


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_named_with_what_helps(name: str, outcomes: dict[str, Outcome]) -> None:
    stderr = outcomes[name]["stderr"]
    assert outcomes[name]["code"] == 2, stderr
    assert [fragment for fragment in MALFORMED[name][1] if fragment not in stderr] == [], stderr
    assert "Traceback" not in stderr and "/site-packages/" not in stderr
    message = stderr.strip().splitlines()
    assert len(message) == 2 and message[-1].startswith("  remedy: "), stderr
    assert outcomes[name]["imported"] == [], "neither torch nor MLflow"


def test_there_are_many_of_both_kinds() -> None:
    assert len(MALFORMED) >= 50 and len(MALFORMED) + len(MISTAKES) >= 150
