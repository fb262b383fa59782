"""What a comparison says, in the words and with the looks that its page, its pictures and the terminal share.

`found` is what compare.json holds. Runs go by their rank and title, "#1 gru-h3": titles alone may repeat.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from botscalp.report.drawing import BLUE, GREEN, PURPLE, SURFACE, VERMILLION

Found = Mapping[str, Any]

VERDICTS: dict[str, tuple[str, Any, str]] = {
    "CANDIDATE": (GREEN, "-", "D"),
    "INCONCLUSIVE": (BLUE, (0, (6, 2)), "o"),
    "REJECTED": (VERMILLION, (0, (2, 1.5)), "s"),
    "SUSPICIOUS": (PURPLE, (0, (6, 1.5, 1, 1.5)), "^"),
}
"""colour, dash and marker of each, the best verdict first"""
GROUND = {"boxstyle": "square,pad=0.1", "facecolor": SURFACE, "edgecolor": "none", "alpha": 0.85}
"""behind text that stands on lines"""


def names(found: Found) -> list[str]:
    """The runs' names, the best first."""
    return [f"#{rank} {run['title']}" for rank, run in enumerate(found["runs"], start=1)]


def short(text: str, most: int) -> str:
    """The text, cut to fit into a picture."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def listed(words: Sequence[str], most: int = 6) -> str:
    """ "a, b and c"; of many the first ones and how many more there are."""
    shown = [*words] if len(words) <= most else [*words[:most], f"{len(words) - most:,} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def standings(found: Found) -> str:
    """Which runs cannot be told from the best, and which are worse, by net PnL a day."""
    by_standing: dict[str, list[str]] = {}
    for name, run in zip(names(found), found["runs"], strict=True):
        by_standing.setdefault(run["standing"], []).append(name)
    best = by_standing["best"][0]
    if "cannot be told" in by_standing:
        return f"{found['days']} days in common are too few to tell any run from the best, {best}, by net PnL a day."
    as_good, worse = by_standing.get("may be as good", []), by_standing.get("worse", [])
    if not as_good:
        return f"By net PnL a day every other run is worse than {best} by more than chance explains."
    sentence = f"By net PnL a day {listed(as_good)} cannot be told from the best, {best}"
    if not worse:
        return f"{sentence}: which of them is best is open."
    return f"{sentence}; {listed(worse)} {'is' if len(worse) == 1 else 'are'} worse by more than chance explains."


def earning(found: Found) -> str:
    """How many of the runs earn anything on the common days."""
    runs = found["runs"]
    earn = sum(run["daily_pnl"] > 0 for run in runs)
    if earn == len(runs):
        return "Every run earns after costs on the common days."
    if earn == 0:
        losing = any(run["daily_pnl"] < 0 for run in runs)
        return "No run earns after costs on the common days" + (": the best loses least." if losing else ".")
    return f"{earn:,} of {len(runs):,} runs {'earns' if earn == 1 else 'earn'} after costs on the common days."
