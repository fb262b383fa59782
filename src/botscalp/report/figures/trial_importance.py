"""Which of the searched settings mattered."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from botscalp.report.drawing import BLUE, Picture, new_figure, style


def trial_importance(found: Mapping[str, Any]) -> Picture | None:
    """Bars of each setting's share of the values' variance; None where nothing can be said."""
    if not found["importance"]:
        return None
    shares = dict(sorted(found["importance"].items(), key=lambda pair: -pair[1]))
    with style():
        figure = new_figure(0.9 + 0.28 * len(shares))
        axes = figure.subplots()
        axes.barh(list(shares), list(shares.values()), color=BLUE, height=0.6)
        axes.invert_yaxis()
        axes.set_xlim(0.0, 1.0)
        axes.set_xlabel("share of the variance of the completed trials' values")
        axes.grid(axis="y", visible=False)
    most, share = next(iter(shares.items()))
    return Picture(
        name="importance",
        title="Which settings mattered?",
        reading=f"{most} explains {share:.0%} of how the values of the {found['luck']['completed']:,} completed trials differ "
        "(fANOVA). Where the values differ by chance alone, something has the largest share too.",
        figure=figure,
        table=pd.DataFrame({"setting": list(shares), "share": [f"{share:.3f}" for share in shares.values()]}),
    )
