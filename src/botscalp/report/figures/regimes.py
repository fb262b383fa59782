"""The same figures by the state of the market and by month: a model may earn in one and lose in another."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botscalp.report import numbers
from botscalp.report.drawing import BLUE, GREEN, INK, MUTED, SURFACE, Picture, new_figure, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Regime = Mapping[str, Any]

METRICS = {
    "mean_net_bps": ("net bps a trade", "the mean net trade", 0.0, BLUE, "o"),
    "auc": ("AUC", "the AUC", 0.5, GREEN, "s"),
}
"""label, words, value without skill, colour and marker"""
WIDTH = {"volatility": 2, "month": 5}
"""of a kind's panels, relative to each other"""
CHARACTERS = 10
"""that stand beside each other in a width of 1"""
MAX_NAMED = 12
EVERY = (1, 2, 3, 6, 12, 24, 60, 120)
"""month that is named"""


def regimes(summary: Mapping[str, Any]) -> Picture | None:
    """Net bps, AUC and trades by volatility and by month; None where nothing is known of either."""
    states = {kind: [one for one in summary["regimes"] if one["kind"] == kind] for kind in ("volatility", "month")}
    columns = [kind for kind, found in states.items() if found]
    shown = [one for found in states.values() for one in found]
    rows = [name for name in METRICS if any(one[name]["value"] is not None for one in shown)]
    if not rows:
        return None
    with style():
        figure = new_figure(0.9 + 1.35 * len(rows))
        panels = figure.subplots(
            len(rows) + 1,
            len(columns),
            sharex="col",
            squeeze=False,
            height_ratios=[*(3 for _ in rows), 1.3],
            width_ratios=[WIDTH[kind] for kind in columns],
        )
        for first, *others in panels[:-1]:
            for axes in others:
                axes.sharey(first)
                axes.tick_params(labelleft=False)
        for kind, (*estimates, counts) in zip(columns, panels.T, strict=True):
            for axes, name in zip(estimates, rows, strict=True):
                _estimates(axes, [one[name] for one in states[kind]], name)
            _counts(counts, states[kind], room=CHARACTERS * WIDTH[kind])
            estimates[0].set_title("month, UTC" if kind == "month" else kind)
        for axes, label in zip(panels[:, 0], [*(METRICS[name][0] for name in rows), "trades"], strict=True):
            axes.set_ylabel(label)
        figure.align_ylabels()
    return Picture(
        name="regimes",
        title="Does it depend on the state of the market?",
        reading=" ".join(_words(states)),
        figure=figure,
        table=table(shown),
    )


def table(states: Sequence[Regime]) -> "pd.DataFrame":
    """A row for each state of the market, or month."""
    import pandas as pd

    return pd.DataFrame(
        {
            "state": [one["name"] + (" volatility" if one["kind"] == "volatility" else "") for one in states],
            "rows": [f"{one['rows']:,}" for one in states],
            "AUC": [numbers.estimate(one["auc"], ".4f") for one in states],
            "trades": [f"{one['trades']:,}" for one in states],
            "net bps a trade": [numbers.estimate(one["mean_net_bps"], "+.2f") for one in states],
            "win rate": [numbers.estimate(one["win_rate"], ".3f") for one in states],
        }
    )


def _estimates(axes: "Axes", given: Sequence[Mapping[str, float | None]], name: str) -> None:
    """Each state's figure with its 95 % interval, hollow where it has none."""
    _, _, null, colour, marker = METRICS[name]
    axes.axhline(null, color=INK, linewidth=0.8, linestyle="--")
    ends = {place: found for place, one in enumerate(given) if (found := numbers.ends_of(one)) is not None}
    for place, one in enumerate(given):
        if one["value"] is not None:
            fill = colour if place in ends else SURFACE
            size_pt = 5.0 if len(given) <= MAX_NAMED else 3.5
            axes.plot(place, one["value"], marker, color=colour, markersize=size_pt, markerfacecolor=fill)
    axes.vlines(list(ends), [low for low, _ in ends.values()], [high for _, high in ends.values()], color=colour)
    axes.grid(axis="x", visible=False)


def _counts(axes: "Axes", states: Sequence[Regime], room: int) -> None:
    """Bars of the numbers of trades, with these above them where there is room for so many characters."""
    trades = [state["trades"] for state in states]
    axes.bar(range(len(states)), trades, width=0.6, color=MUTED)
    texts = [f"{count:,}" for count in trades]
    if len(texts) * (max(map(len, texts)) + 1) <= room:
        for place, text in enumerate(texts):
            axes.annotate(
                text, (place, trades[place]), xytext=(0, 2), textcoords="offset points", ha="center", fontsize=8
            )
    every = next(step for step in EVERY if len(states) <= step * MAX_NAMED)
    named = range(0, len(states), every)
    axes.set_xticks(named, _short([states[place]["name"] for place in named]))
    axes.set_xlim(-0.6, len(states) - 0.4)
    axes.set_ylim(0, max(axes.get_ylim()[1], 1.45 * max(trades), 1))
    axes.grid(axis="x", visible=False)
    axes.locator_params(axis="y", nbins=2)


def _short(names: Sequence[str]) -> list[str]:
    """Months by their number, with the year below where it is another one: 2024-11, 2024-12, 2025-01 as 11 (2024), 12, 01 (2025)."""
    shown, year = [], ""
    for name in names:
        before, _, month = name.rpartition("-")
        shown.append(month if before == year else f"{month}\n{before}")
        year = before
    return shown


def _words(states: Mapping[str, Sequence[Regime]]) -> Iterator[str]:
    known = [one for one in states["volatility"] if one["mean_net_bps"]["value"] is not None]
    if known:
        terciles = ", ".join(f"{one['mean_net_bps']['value']:+.2f} bps at {one['name']}" for one in known)
        yield f"The mean net trade is {terciles} volatility (thirds of the bars by ATR)."
    for name, (_, words, null, *_) in METRICS.items():
        found = [one[name] for one in states["month"] if one[name]["value"] is not None]
        if found:
            above, surely, surely_below = (
                sum(one[end] is not None and sign * (one[end] - null) > 0 for one in found)
                for end, sign in (("value", 1), ("low", 1), ("high", -1))
            )
            yield (
                f"By month {words} is above {null:g} in {above} of {len(found)}, with its whole 95 % interval in {surely}; "
                f"wholly below in {surely_below}."
            )
