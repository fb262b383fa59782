"""`make licences`: docs/licences.md, the licence of each distribution that the lock files pin, as it states it itself."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from tests.locks import ROOT, pinned

PAGE = ROOT / "docs" / "licences.md"
PARTS = {
    "To run": ("", "torch"),
    "To develop and test": ("dev",),
    "To compare with in benchmarks and long tests, and to run on Ray": ("bench", "ray"),
}
HEAD = """# Licences of what is installed

Written by `make licences` from the metadata of what the lock files pin. botscalp imports the first part alone, in which nothing is
under a copyleft licence (GPL, AGPL). The peers of the benchmarks are, some of them; they are neither shipped nor imported by botscalp.
nautilus-trader (LGPL-3.0-or-later) lives in an environment of its own.
"""


def licence(name: str) -> str | None:
    """What the installed distribution says: an SPDX expression, else its classifiers, else a word, else its licence file."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    said = found.metadata.json
    classes = [text.split(" :: ")[-1] for text in said.get("classifier", []) if text.startswith("License :: ")]
    classes = [text for text in classes if text != "OSI Approved"]
    word = str(said.get("license", "UNKNOWN")).strip()
    return str(
        said.get("license_expression") or ", ".join(classes) or (word if _is_word(word) else _told_by_file(found))
    )


def _is_word(text: str) -> bool:
    return "\n" not in text and text not in ("", "UNKNOWN")


def _told_by_file(found: Distribution) -> str:
    """The licence that the licence file's text is, or names in its first line."""
    files = [Path(str(file.locate())) for file in found.files or [] if re.match(r"(?i)licen[sc]e", file.name)]
    text = files[0].read_text().strip() if files else "unknown"
    return "MIT" if "Permission is hereby granted, free of charge" in text else text.splitlines()[0].strip("# ")


def rows(*layers: str) -> list[tuple[str, str, str | None]]:
    """(name, version, licence) of each pin by name, without a licence where it is not installed."""
    return [(name, pin.version, licence(name)) for name, pin in sorted(pinned(*layers).items())]


def page() -> str:
    """The whole page; every distribution has to be installed."""
    shown = [HEAD]
    for title, layers in PARTS.items():
        table = [f"| {name} | {version} | {licence} |" for name, version, licence in rows(*layers)]
        shown.append(
            "\n".join([f"## {title}", "", "| Distribution | Version | Licence |", "|---|---|---|", *table, ""])
        )
    return "\n".join(shown)


if __name__ == "__main__":
    PAGE.write_text(page())
