"""The account over the test ranges: at several costs, beside what needs no model, with the drawdown below."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from botscalp.report.drawing import (
    BLUE,
    GREEN,
    MUTED,
    PURPLE,
    SERIES,
    VERMILLION,
    Picture,
    new_figure,
    style,
    utc_dates,
)
from botscalp.report.figures.line_ends import End, write_ends
from botscalp.report.material import Curve, Material
from botscalp.report.numbers import interval
from botscalp.report.thinning import kept
from botscalp.types import Float64

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

LOOKS: dict[str, tuple[str, str, Any]] = {
    "costs_x1": ("costs as set", BLUE, "-"),
    "costs_x0": ("no costs", GREEN, "-."),
    "costs_x2": ("twice the costs", VERMILLION, "--"),
    "buy_and_hold": ("buy and hold", PURPLE, (0, (6, 2))),
}
"""what each curve is called, its colour and its dash"""
FLAT = "always flat"
TABLE_ROWS = 36


def equity(summary: Mapping[str, Any], material: Material) -> Picture | None:
    """Whether it earns after costs, and how deep it fell; None where no bar was traded over."""
    curves = [curve for curve in material.curves if len(curve.equity_quote)]
    if not curves:
        return None
    main = curves[0]
    fallen = drawdown(main.equity_quote, material.capital_quote)
    with style():
        figure = new_figure(4.4)
        above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
        _draw_accounts(above, curves, material)
        _draw_drawdown(below, main, fallen)
        utc_dates(below)
    return Picture(
        name="equity",
        title="Does it earn after costs?",
        reading=_reading(summary, curves, material, fallen),
        figure=figure,
        table=_table(curves, material, fallen),
    )


def drawdown(equity_quote: Float64, capital_quote: float) -> Float64:
    """How far the account is below its peak so far, as a fraction of that peak; at most 0, shape (T,)."""
    peak_quote = np.maximum.accumulate(np.maximum(equity_quote, capital_quote))
    return equity_quote / peak_quote - 1


def look(position: int, name: str) -> tuple[str, str, Any]:
    """Label, colour and dash of the curve at that position."""
    return LOOKS.get(name, (name.replace("costs_x", "costs x ").replace("_", " "), *SERIES[4 + position % 2]))


def _draw_accounts(axes: "Axes", curves: Sequence[Curve], material: Material) -> None:
    ends = [End(text=f"{FLAT} 0.0%", colour=MUTED, x=_time(curves[0])[-1], y=material.capital_quote)]
    axes.axhline(material.capital_quote, color=MUTED, linewidth=1.0, linestyle=(0, (1, 2)), label=FLAT)
    if material.band is not None:
        band = material.band
        axes.fill_between(
            band.time_ns.astype("datetime64[ns]"),
            band.low_quote,
            band.high_quote,
            color=BLUE,
            alpha=0.15,
            linewidth=0,
            label="95 % of redrawn histories, costs as set",
        )
    for position, curve in reversed([*enumerate(curves)]):  # the first lies on top
        name, colour, dash = look(position, curve.name)
        rows = kept(curve.equity_quote)
        time = _time(curve)
        axes.plot(
            time[rows],
            curve.equity_quote[rows],
            color=colour,
            linestyle=dash,
            linewidth=1.0 if position else 1.5,
            label=name,
        )
        text = f"{name} {_change(curve, material.capital_quote):+.1%}"
        ends.append(End(text=text, colour=colour, x=time[-1], y=float(curve.equity_quote[-1])))
    axes.set_ylabel("equity, quote currency")
    axes.yaxis.set_major_formatter(lambda quote, _: f"{quote:,.10g}")
    if material.band is not None:
        axes.legend(handles=[axes.collections[0]], loc="best")
    axes.margins(x=0)
    axes.autoscale_view()
    write_ends(axes, ends, height_pt=200)


def _draw_drawdown(axes: "Axes", curve: Curve, fallen: Float64) -> None:
    rows = kept(fallen)
    axes.fill_between(_time(curve)[rows], fallen[rows], 0, color=BLUE, alpha=0.3, linewidth=0)
    axes.plot(_time(curve)[rows], fallen[rows], color=BLUE, linewidth=1.0, label="drawdown")
    axes.set_ylabel("below its peak")
    axes.yaxis.set_major_formatter(lambda fraction, _: f"{100 * fraction:.3g}%")
    axes.margins(x=0)
    axes.set_ylim(top=0)


def _reading(summary: Mapping[str, Any], curves: Sequence[Curve], material: Material, fallen: Float64) -> str:
    """What became of the capital, at which costs, and how deep it fell on the way."""
    capital_quote, main = material.capital_quote, curves[0]
    others = {curve.name: _gained(curve, capital_quote) for curve in curves[1:]}
    if summary["backtest"]["trades"]:
        ends = summary["intervals"]["backtest"]["roi"]
        sure = f", 95 % interval {interval(ends, '+.1%')}" if ends is not None else ""
        said = [
            f"At the costs set, {capital_quote:,.0f} became {main.equity_quote[-1]:,.0f}: "
            f"it {_gained(main, capital_quote)} of the capital{sure}"
        ]
        said += [f"at no costs it would have {others['costs_x0']}"] if "costs_x0" in others else []
        said += [f"at twice the costs it would have {others['costs_x2']}"] if "costs_x2" in others else []
    else:
        said = [f"No trade was made, so the account stayed at {capital_quote:,.0f}"]
    said += [f"buying and holding the same notional {others['buy_and_hold']}"] if "buy_and_hold" in others else []
    band = " The band holds the account in 95 % of histories redrawn by the bootstrap." if material.band else ""
    return f"{'; '.join(said)}. {_deepest(main, fallen)}{band}"


def _deepest(curve: Curve, fallen: Float64) -> str:
    """The deepest drawdown in words."""
    trough = int(np.argmin(fallen))
    if not fallen[trough]:
        return "It never closed below its peak."
    peak = int(np.flatnonzero(fallen[:trough] == 0)[-1]) if (fallen[:trough] == 0).any() else 0
    back = fallen[trough:] == 0
    rows = [peak, trough, trough + int(np.argmax(back))]
    began, ended, recovered = np.datetime_as_string(_time(curve)[rows], unit="D")
    after = f"made good by {recovered}" if back.any() else "not made good by the end"
    return f"The deepest fall below a peak was {-fallen[trough]:.1%} of it, from {began} to {ended}, and {after}."


def _gained(curve: Curve, capital_quote: float) -> str:
    change = _change(curve, capital_quote)
    return f"{'lost' if change < 0 else 'gained'} {abs(change):.1%}"


def _change(curve: Curve, capital_quote: float) -> float:
    return float(curve.equity_quote[-1]) / capital_quote - 1


def _time(curve: Curve) -> "NDArray[np.datetime64]":
    return curve.close_time_ns.astype("datetime64[ns]")


def _table(curves: Sequence[Curve], material: Material, fallen: Float64) -> "pd.DataFrame":
    """The accounts at the ends of days, weeks, months, quarters or years, the shortest of them that fit."""
    import pandas as pd

    accounts = {
        look(position, curve.name)[0]: pd.Series(curve.equity_quote, index=_time(curve))
        for position, curve in enumerate(curves)
    }
    if material.band is not None:
        days = material.band.time_ns.astype("datetime64[ns]")
        accounts["95 % low"] = pd.Series(material.band.low_quote, index=days)
        accounts["95 % high"] = pd.Series(material.band.high_quote, index=days)
    table = pd.DataFrame(accounts)
    depth = pd.Series(fallen, index=_time(curves[0])).reindex(table.index)
    inside = pd.DatetimeIndex(table.index) - pd.Timedelta(1, "ns")  # midnight ends a day
    periods = next(
        periods
        for unit in ("D", "W", "M", "Q", "Y")
        if len((periods := inside.to_period(unit)).unique()) <= TABLE_ROWS or unit == "Y"
    )
    rows = table.groupby(periods).last().map(lambda quote: "" if np.isnan(quote) else f"{quote:,.2f}")
    rows["deepest below its peak"] = (
        depth.groupby(periods).min().map(lambda fraction: "" if np.isnan(fraction) else f"{fraction:.2%}")
    )
    return rows.rename_axis("until the end of, UTC").reset_index().astype(str)
