"""The figures of a run as tables and sentences, for log.txt: those of its page, which the terminal leaves out."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from botscalp.report.blocks import forecast, rules, trading
from botscalp.report.blocks.symbols import symbols
from botscalp.report.figures import regimes
from botscalp.report.tables import Table

logger = logging.getLogger(__name__)
"""conf/hydra/job_logging/botscalp.yaml sends its lines to the file alone"""


def tell(summary: Mapping[str, Any]) -> None:
    """The figures, then the rules that weigh them, those that decided last."""
    for part in _parts(summary):
        if isinstance(part, Table):
            for line in ("", *part.lines()):
                logger.info(line)
        elif part:
            logger.info("  %s", part)


def _parts(summary: Mapping[str, Any]) -> Iterator[Table | str | None]:
    """Tables, each followed by sentences on it. Hours, weekdays and months are in summary.json."""
    yield forecast.metrics(summary)
    yield forecast.attainable(summary)
    yield forecast.calibration_error(summary)
    yield forecast.brier_parts(summary)
    yield forecast.calibration(summary)
    yield forecast.baselines(summary)
    yield forecast.periods(summary)
    yield from forecast.overfitting(summary)
    volatility = [one for one in summary["regimes"] if one["kind"] == "volatility"]
    yield Table.of(regimes.table(volatility), "By thirds of the bars' volatility [95 % interval]")
    yield symbols(summary)
    yield trading.account(summary)
    yield trading.days(summary)
    yield trading.trades(summary)
    yield trading.chosen_brackets(summary["windows"])
    yield trading.sizes(summary)
    yield trading.costs(summary)
    yield trading.bearable_costs(summary)
    yield forecast.luck(summary)
    yield rules.sentinels(summary["verdict"])
    yield rules.other_rules(summary["verdict"])
    yield rules.deciding_rules(summary["verdict"])
