"""The lines that an audit says: what is asked, each answer as it comes, the table, and the sentence."""

import logging
from collections.abc import Iterator, Sequence

from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.panel import Panel
from botscalp.pipeline.rules import Rule
from botscalp.sentinels.diagnosis import SENTINELS, Audited
from botscalp.times import interval_name
from botscalp.windows import Range, Window

logger = logging.getLogger(__name__)

ALWAYS_EXPLAINED = ("martingale_gross_bps",)
"""rules whose words say more than whether they fired"""


def announce(experiment: Experiment, panel: Panel, windows: Sequence[Window], *, points: int, fits: int) -> None:
    """What will be audited, and by how many fits."""
    start, end = Range(windows[0].test.start_ns, windows[-1].test.end_ns).iso()
    kind = "real bars" if experiment.data.real else "SIMULATED bars"
    _say(
        f"audit of {experiment.title}  study {experiment.job.study}",
        f"  data      {','.join(panel.symbols)} {interval_name(panel.interval_ns)}, {len(panel.open_time_ns):,} bars ({kind})",
        f"  windows   the last {len(windows)}, tests {start[:10]} .. {end[:10]}; {fits} fits in all",
        f"  points    {points} random bars",
    )


def answered(rule: Rule) -> None:
    """One line as soon as an answer is there."""
    _say(f"{rule.result:<6} {rule.name}")


def conclude(audited: Audited) -> None:
    """The table, the sentence, and what it took."""
    _say("", *(line for rule in audited.rules for line in _row(rule)), "")
    _say(
        f"DIAGNOSIS      {audited.diagnosis.finding}: {audited.diagnosis.sentence}",
        f"time           {audited.total_s:.0f} s, {audited.total_s / audited.plain_s:.1f} times the "
        f"{audited.plain_s:.0f} s that the same windows take by themselves",
        "",
    )


def _row(rule: Rule) -> Iterator[str]:
    """The figure beside its line; what it says in plain words where it fired."""
    figure = "n/a" if rule.value is None else f"{rule.value:.4g}"
    if rule.low is not None and rule.high is not None:
        figure += f" [{rule.low:.4g}, {rule.high:.4g}]"
    line = "" if rule.threshold is None else f"line {rule.threshold:.4g}"
    yield f"  {SENTINELS[rule.name].number:<3}{rule.result:<6} {rule.name:<32} {figure:<30} {line}".rstrip()
    if rule.result == "fired" or rule.name in ALWAYS_EXPLAINED:
        yield f"     {rule.words}"


def _say(*lines: str) -> None:
    for line in lines:
        logger.info(line)
