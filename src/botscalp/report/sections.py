"""The sections of a run's page, in the order in which a reader asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botscalp.report.blocks import forecast, rules, trading
from botscalp.report.blocks.symbols import symbols
from botscalp.report.drawing import Picture
from botscalp.report.figures.anatomy import clock, excursions, exits, holding
from botscalp.report.figures.equity import equity
from botscalp.report.figures.heat_map import threshold_costs
from botscalp.report.figures.histogram import histogram
from botscalp.report.figures.regimes import regimes
from botscalp.report.figures.reliability import reliability
from botscalp.report.figures.stages import stages
from botscalp.report.figures.windows import windows
from botscalp.report.material import Material
from botscalp.report.tables import Table

Part = Picture | Table | str
"""a picture, a table or a sentence"""

_NO_TRADES = "There are no trades, so there is nothing to draw."
_NEVER_TRADES = "There are no trades at any threshold, so there is nothing to draw."
_NO_ROWS = "There are no labelled test rows, so there is nothing to draw."
_STARTS = "Each account starts from {:,.0f}."
_SENTINELS = (
    "They look for what is too good to be true: leaks from the future, fills that nobody gets, figures that no market gives. "
    "One that fires makes the verdict SUSPICIOUS."
)


@dataclass(frozen=True)
class Section:
    """A question, and what answers it from top to bottom."""

    name: str
    """of its place on the page"""
    heading: str
    parts: Sequence[Part]


def sections(summary: Mapping[str, Any], material: Material) -> list[Section]:
    """All below the verdict and what was run. A part with nothing to draw says so; symbols are compared where there are several."""
    found = [
        _section(
            "equity",
            "Equity and drawdown",
            equity(summary, material) or _NO_TRADES,
            trading.bearable_costs(summary),
            trading.costs(summary),
            trading.account(summary),
            trading.days(summary),
        ),
        _section("windows", "Windows", windows(summary) or _NO_ROWS, trading.chosen_brackets(summary["windows"])),
        _section("symbols", "Symbols", symbols(summary)),
        _section("reliability", "Reliability", reliability(summary) or _NO_ROWS, forecast.calibration(summary)),
        _section("histogram", "Forecasts by outcome", histogram(summary, material) or _NO_ROWS),
        _section("threshold-costs", "Threshold and costs", threshold_costs(material) or _NEVER_TRADES),
        _section("anatomy", "Trade anatomy", *_anatomy(material), trading.trades(summary)),
        _section("regimes", "Regimes", regimes(summary) or _NO_ROWS),
        _section("sizes", "Position size", trading.sizes(summary), _STARTS.format(material.capital_quote)),
        _section("sentinels", "Sentinels", _SENTINELS, rules.sentinels(summary["verdict"])),
        _section("luck", "Luck and search", forecast.luck(summary)),
        _section(
            "periods",
            "Training, validation and test",
            forecast.periods(summary),
            *forecast.overfitting(summary),
        ),
        _section(
            "baselines",
            "Baselines",
            forecast.metrics(summary),
            forecast.attainable(summary),
            forecast.baselines(summary),
        ),
        _section("time", "Time", stages(summary)),
    ]
    return [section for section in found if section.parts]


def _section(name: str, heading: str, *parts: Part) -> Section:
    """With the parts that say something."""
    return Section(name, heading, [part for part in parts if part])


def _anatomy(material: Material) -> list[Part]:
    pictures = [drawn(material) for drawn in (exits, holding, excursions, clock)]
    return [picture for picture in pictures if picture] or [_NO_TRADES]
