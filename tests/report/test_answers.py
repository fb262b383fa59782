"""Five answers from a run's figures: by hand for each outcome, and for any figures no claim that they do not bear.

Long, for each outcome has its own sentences, and they are held against each other here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from summaries import a_summary, undefined

from botscalp.pipeline.evidence.estimates import Estimate
from botscalp.pipeline.rules import above
from botscalp.pipeline.verdict import FACTS, LIGHT, NAMES, RULES, SENTINELS
from botscalp.report.answers import ASKED, answers, days_to_decide, paid_bps

Summary = dict[str, Any]
RULE_NAMES = [name for name in (*FACTS, *(line.name for line in RULES)) if name in ASKED]
SENTINEL_NAMES = [name for name in NAMES if name not in ASKED]


def a_rule(name: str, result: str, value: float | None = 1.0, **changes: Any) -> dict[str, Any]:
    words = f"words of {name}"
    return {
        "name": name, "result": result, "value": value, "low": None, "high": None, "threshold": 0.0, "words": words
    } | changes  # fmt: skip


def judged(outcome: str, *decisive: dict[str, Any], **changes: Any) -> Summary:
    """The summary with these rules and all others passed."""
    named = {rule["name"] for rule in decisive}
    rules = [a_rule(name, "pass") for name in RULE_NAMES if name not in named]
    rules += [a_rule(name, "clear") for name in SENTINEL_NAMES if name not in named]
    return a_summary(verdict={"outcome": outcome, "rules": [*decisive, *rules]}, **changes)


# By hand


def test_every_rule_has_words_and_no_sentinel() -> None:
    assert {line.name for line in RULES} <= set(ASKED)
    assert set(SENTINEL_NAMES) == {*(line.name for line in SENTINELS), *LIGHT, *FACTS} - set(ASKED)
    assert set(ASKED) < set(NAMES)


def test_rejected_by_costs() -> None:
    """The year of BTCUSDT in the README."""
    summary = judged(
        "REJECTED",
        *(
            a_rule(name, "fail")
            for name in ("mean_net_bps", "mean_net_bps_at_double_costs", "sharpe", "beats_best_baseline")
        ),
        a_rule("beats_linear", "undecided"),
        metrics={"auc": 0.5355, "n": 105_340},
        backtest={"trades": 9_100, "days": 366, "mean_net_bps": -9.946, "mean_gross_bps": 0.796, "sharpe": -14.95},
        intervals={
            "test": {"auc": [0.5301, 0.5399]},
            "backtest": {"mean_net_bps": [-10.79, -9.136], "mean_gross_bps": [-0.03, 1.58], "sharpe": [-16.70, -13.03]},
        },
        trials={"count": 1, "expected_best_sharpe": 0.0, "deflated_sharpe": 0.0},
    )
    found = answers(summary)
    assert found.worked == (
        "No: 9,100 trades in 366 days lost money after costs, -9.95 bps (hundredths of a percent) a trade [-10.79, -9.14]."
    )
    assert found.why == (
        "The forecast ranks up above down (AUC 0.5355 [0.5301, 0.5399]) and a trade earns 0.80 bps before costs, but costs "
        "are 10.74 bps. It fails at 4 of 12 rules: earning after costs, earning at twice the costs, a Sharpe ratio above "
        "that of luck and earning more than the best baseline."
    )
    assert found.on_what == (
        "Bars of a real market: BTCUSDT at 5m, tested from 2024-02-01 to 2024-06-01 in 4 windows that no fit had seen. "
        "The model, gru-h3, was trained anew for each one, on 52,938 samples before it."
    )
    assert found.how_sure == (
        "Brackets are 95 % intervals, from 105,340 scored forecasts and 9,100 trades in 366 days; the Sharpe ratio is "
        "-14.95 [-16.70, -13.03]. This is the first setting tried on these test bars, and the probability that its Sharpe "
        "ratio is above 0 is 0.000; none of 11 sentinels, which look for leaks and for what is too good to be true, fired."
    )
    assert found.what_would_change == (
        "Only to break even, costs would have to fall from 10.74 to 0.80 bps a trade, which may themselves be luck, or what "
        "a trade earns before them grow to 10.74; to pass, it has to earn at twice the costs. It would also take a Sharpe "
        "ratio above that of luck and earning more than the best baseline."
    )


def test_rejected_at_twice_the_costs_alone() -> None:
    summary = judged(
        "REJECTED",
        a_rule("mean_net_bps_at_double_costs", "fail"),
        backtest={"mean_net_bps": 2.0, "mean_gross_bps": 10.0},
        intervals={"backtest": {"mean_net_bps": [1.0, 3.0], "mean_gross_bps": [9.0, 11.0]}},
    )
    found = answers(summary)
    assert found.worked.startswith("No, although 2,567 trades in 121 days earned money after costs, +2.00 bps")
    assert found.what_would_change == (
        "Costs would have to fall from 8.00 to below 5.00 bps a trade, or what a trade earns before them grow from 10.00 to "
        "above 16.00: it has to earn at twice the costs."
    )


def test_rejected_where_no_costs_would_do() -> None:
    summary = judged(
        "REJECTED",
        a_rule("mean_net_bps", "fail"),
        a_rule("real_data", "undecided", 0.0),
        backtest={"mean_net_bps": -12.0, "mean_gross_bps": -2.0},
        data=SIMULATED,
    )
    found = answers(summary)
    assert "but a trade loses 2.00 bps before costs of 10.00 bps." in found.why
    assert found.what_would_change == (
        "Not cheaper trading: a trade loses 2.00 bps before any costs, so the forecast or the way it is traded would have to "
        "change. It would also take bars of a real market."
    )
    assert found.on_what.startswith("SIMULATED bars, no evidence about any market: BTCUSDT")


def test_rejected_by_its_forecast() -> None:
    summary = judged(
        "REJECTED",
        a_rule("auc", "fail"),
        metrics={"auc": 0.48},
        backtest=dict.fromkeys(("mean_net_bps", "mean_gross_bps", "sharpe", "win_rate"))
        | {"trades": 0, "sharpe_undefined": "n/a (no trades)"},
        intervals={
            "test": {"auc": [0.47, 0.49]},
            "backtest": dict.fromkeys(("mean_net_bps", "mean_gross_bps", "sharpe")),
        },
    )
    found = answers(summary)
    assert found.worked == "No: no trade was made in 121 days."
    assert found.why == (
        "The forecast ranks up below down, worse than a coin (AUC 0.4800 [0.4700, 0.4900]), and no trade tells what it is "
        "worth. It fails at 1 of 12 rules: ranking up above down."
    )
    assert "0 trades in 121 days; there is no Sharpe ratio, no trades." in found.how_sure
    assert found.what_would_change.startswith("Another model, other features or another way to trade")


def test_inconclusive_says_what_is_missing_and_where_it_points() -> None:
    summary = judged(
        "INCONCLUSIVE",
        a_rule("real_data", "undecided", 0.0, threshold=1.0),
        a_rule("tracked", "undecided", 0.0, threshold=1.0),
        a_rule("enough_trades", "undecided", 452.0, threshold=600.0),
        a_rule("mean_net_bps", "undecided", 1.0, low=-1.0, high=3.0),  # twice as far as its half: three times the days
        a_rule("mean_net_bps_at_double_costs", "undecided", -1.0, low=-2.5, high=0.5),
        a_rule("sharpe", "undecided", None, words="annualised Sharpe ratio: 14 UTC days decide nothing, 60 are needed"),
        backtest={"trades": 452, "days": 14, "mean_net_bps": 1.0, "mean_gross_bps": 11.0, "sharpe": None},
        intervals={"backtest": {"mean_net_bps": [-1.0, 3.0], "sharpe": None}},
        data=SIMULATED,
        trials=None,
    )
    found = answers(summary)
    assert found.worked == (
        "It cannot be told yet: 452 trades in 14 days came to +1.00 bps (hundredths of a percent) a trade [-1.00, +3.00] "
        "after costs, which luck alone may explain."
    )
    assert found.why.endswith(
        "No rule fails, but 6 of 12 are open: bars of a real market, being counted as a trial, enough trades, earning after "
        "costs, earning at twice the costs and a Sharpe ratio above that of luck."
    )
    assert "How often these bars were tried before is not known;" in found.how_sure
    assert found.what_would_change == (
        "It takes bars of a real market, tracking, so that the run is counted, 148 more trades, a figure for a Sharpe ratio "
        "above that of luck (14 UTC days decide nothing, 60 are needed) and about 42 more days like these. If the figures "
        "stay as they are, that ends in REJECTED, by earning at twice the costs."
    )


def test_suspicious() -> None:
    fired = [
        a_rule("auc_too_high", "fired", 0.99, low=0.98, high=0.995, threshold=0.65, words="AUC of all windows"),
        a_rule("warm_up", "fired", 3.0, threshold=0.0001, words="standard deviations by which ema changes"),
        a_rule("ece_too_small", "fired", 0.0, words="calibration error"),
    ]
    found = answers(judged("SUSPICIOUS", *fired, a_rule("mean_net_bps", "fail")))
    assert found.worked.startswith(
        "It cannot be told: the run looks too good to be true, so none of its figures counts ("
    )
    assert found.why == (
        "3 sentinels for leaks and easy data fired: AUC of all windows: 0.99 [0.98, 0.995], line at 0.65; standard "
        "deviations by which ema changes: 3, line at 0.0001; and 1 more."
    )
    assert "; 3 of 11 sentinels, which look for leaks and for what is too good to be true, fired." in found.how_sure
    assert found.what_would_change.startswith("An audit: python -m botscalp.audit")


SIMULATED = {"source": "simulated", "markets": ["simulated BTCUSDT 5m"]}
EARNS: Summary = {
    "backtest": {"mean_net_bps": 2.5, "mean_gross_bps": 15.0, "sharpe": 2.0},
    "intervals": {"backtest": {"mean_net_bps": [1.0, 4.0], "mean_gross_bps": [13.0, 17.0], "sharpe": [0.4, 3.6]}},
}


def test_candidate() -> None:
    found = answers(judged("CANDIDATE", **EARNS))
    assert found.worked == (
        "Yes, on these bars: 2,567 trades in 121 days earned money after costs, +2.50 bps (hundredths of a percent) a trade "
        "[+1.00, +4.00]."
    )
    assert found.why == (
        "The forecast ranks up above down (AUC 0.5348 [0.5260, 0.5428]) and a trade earns 15.00 bps before costs of "
        "12.50 bps. It passes all 12 rules, and no sentinel fires."
    )
    assert (
        "3 settings have been tried on these test bars, and the probability that its Sharpe ratio is above the best"
        in (found.how_sure)
    )
    assert found.what_would_change == (
        "It would be overturned by costs above 15.00 bps a trade instead of 12.50, a leak that an audit finds (python -m "
        "botscalp.audit), or more settings tried on the same bars. Trade it on paper first: only bars that nobody has seen "
        "tell whether it lasts."
    )


def test_candidate_by_rules_set_aside() -> None:
    simulated = judged("CANDIDATE", a_rule("real_data", "overridden", 0.0), data=SIMULATED, **EARNS)
    found = answers(simulated)
    assert found.worked.startswith(
        "Yes, on SIMULATED bars, which say nothing about a market, with bars of a real market set aside by hand: "
    )
    assert found.why.endswith(
        "It passes all 11 rules, and no sentinel fires; set aside by hand: bars of a real market."
    )
    assert "overturned by a real market, costs above" in found.what_would_change
    losing = answers(judged("CANDIDATE", a_rule("mean_net_bps", "overridden", -10.4)))
    assert losing.worked.startswith(
        "It is not shown, and no rule objects only because some were set aside by hand: 2,567"
    )


# For any figures

BPS = st.integers(-6_000, 6_000).map(lambda n: n / 100)
HALF_WIDTH = st.none() | st.integers(1, 4_000).map(lambda n: n / 100)


@dataclass(frozen=True)
class Figures:
    """What a run found, in few numbers; absent as runs leave figures absent."""

    source: str
    trades: int
    days: int
    windows: int
    gross: tuple[float, float | None]
    """a figure and half the width of its interval, as the others"""
    net: tuple[float, float | None]
    auc: tuple[float, float | None]
    sharpe: tuple[float, float | None] | None
    trials: int | None
    deflated: float | None
    rules: dict[str, tuple[float, float | None]]
    sentinels: dict[str, str]
    aside: frozenset[str]

    @property
    def summary(self) -> Summary:
        rules = [self._rule(name, *figure) for name, figure in {**self.rules, "mean_net_bps": self.net}.items()]
        rules += [
            a_rule(name, "overridden" if name in self.aside else result) for name, result in self.sentinels.items()
        ]
        results = {
            rule["result"]: outcome for outcome, result in DECISIVE for rule in rules if rule["result"] == result
        }
        outcome = next((results[result] for _, result in DECISIVE if result in results), "CANDIDATE")
        auc = self.auc
        gross, net, sharpe = (self.gross, self.net, self.sharpe) if self.trades else (None, None, None)
        return a_summary(
            verdict={"outcome": outcome, "rules": rules},
            metrics={"auc": auc[0]},
            backtest={
                "trades": self.trades,
                "days": self.days,
                "mean_net_bps": net and net[0],
                "mean_gross_bps": gross and gross[0],
                "sharpe": sharpe and sharpe[0],
                "sharpe_undefined": None if sharpe else "n/a (too few days)",
            },
            intervals={
                "test": {"auc": ends(auc)},
                "backtest": {"mean_net_bps": ends(net), "mean_gross_bps": ends(gross), "sharpe": ends(sharpe)},
            },
            data={"source": self.source, "markets": [f"{'real' if self.source == 'file' else self.source} BTCUSDT 5m"]},
            windows=a_summary()["windows"][: self.windows],
            trials=self.trials
            and {"count": self.trials, "expected_best_sharpe": 1.5, "deflated_sharpe": self.deflated},
        )

    def _rule(self, name: str, value: float, half_width: float | None) -> dict[str, Any]:
        """A rule that follows from its figure, or is set aside."""
        if name == "enough_trades":
            result = "overridden" if name in self.aside else "pass" if self.trades >= 600 else "undecided"
            return a_rule(name, result, float(self.trades), threshold=600.0)
        low, high = ends((value, half_width)) or (None, None)
        result = "undecided" if low is None or high is None or low <= 0 <= high else "pass" if low > 0 else "fail"
        if name == "mean_net_bps" and not self.trades:
            result, low, high = "undecided", None, None
        result = "overridden" if name in self.aside else result
        return a_rule(name, result, value, low=low, high=high, words=f"words of {name}: no interval")


DECISIVE = (("SUSPICIOUS", "fired"), ("REJECTED", "fail"), ("INCONCLUSIVE", "undecided"))


def ends(figure: tuple[float, float | None] | None) -> list[float] | None:
    return None if figure is None or figure[1] is None else [figure[0] - figure[1], figure[0] + figure[1]]


def of(values: st.SearchStrategy[float]) -> st.SearchStrategy[tuple[float, float | None]]:
    return st.tuples(values, HALF_WIDTH)


PASSED = st.tuples(st.integers(30, 60), st.integers(1, 20))
ANY_FIGURES = st.builds(
    Figures,
    source=st.sampled_from(["file", "simulated", "trivial"]),
    trades=st.just(0) | st.integers(1, 20_000),
    days=st.integers(1, 2_000),
    windows=st.integers(1, 4),
    gross=of(BPS),
    net=of(BPS),
    auc=st.tuples(st.integers(300, 700), st.none() | st.integers(1, 100)).map(
        lambda auc: (auc[0] / 1000, auc[1] and auc[1] / 1000)
    ),
    sharpe=st.none() | of(BPS),
    trials=st.none() | st.integers(1, 5_000),
    deflated=st.none() | st.sampled_from([0.0, 0.0004, 0.5, 0.9996, 1.0]),
    rules=st.fixed_dictionaries({name: of(BPS) for name in RULE_NAMES if name != "mean_net_bps"})
    | st.fixed_dictionaries({name: PASSED for name in RULE_NAMES if name != "mean_net_bps"}),
    sentinels=st.just(dict.fromkeys(SENTINEL_NAMES, "clear"))
    | st.fixed_dictionaries({name: st.sampled_from(["clear", "fired"]) for name in SENTINEL_NAMES}),
    aside=st.just(frozenset()) | st.frozensets(st.sampled_from(NAMES), max_size=3),
)


def texts(summary: Summary) -> list[str]:
    return list(vars(answers(summary)).values())


@given(ANY_FIGURES)
def test_each_is_one_or_two_whole_sentences(figures: Figures) -> None:
    summary = figures.summary
    for text in texts(summary):
        sentences = re.split(r"(?<=\.) ", text)
        assert text.endswith(".") and len(sentences) <= 2
        assert all(sentence[0].isupper() or sentence[0].isdigit() for sentence in sentences)
        assert not re.search(r"None|nan|inf\b|\{|\}|  |\( |,,|: \.|, \.|\[\]", text), text
    bare = texts(undefined(summary))
    assert all(text.endswith(".") and "None" not in text for text in bare)


@given(ANY_FIGURES)
def test_money_is_claimed_only_where_the_interval_shows_it(figures: Figures) -> None:
    summary = figures.summary
    worked, ends = answers(summary).worked, summary["intervals"]["backtest"]["mean_net_bps"]
    assert ("earned money" in worked) == (ends is not None and ends[0] > 0)
    assert ("lost money" in worked) == (ends is not None and ends[1] < 0)
    outcome = summary["verdict"]["outcome"]
    assert worked.startswith("Yes") == (outcome == "CANDIDATE" and "earned money" in worked)
    assert worked.startswith("No") == (outcome == "REJECTED")
    assert ("cannot be told" in worked) == (outcome in ("INCONCLUSIVE", "SUSPICIOUS"))


@given(ANY_FIGURES)
def test_skill_is_claimed_only_where_the_interval_shows_it(figures: Figures) -> None:
    summary = figures.summary
    why, ends = answers(summary).why, summary["intervals"]["test"]["auc"]
    if summary["verdict"]["outcome"] != "SUSPICIOUS":
        assert why.startswith("The forecast ranks up above down") == (ends is not None and ends[0] > 0.5)
        assert why.startswith("The forecast ranks up below down") == (ends is not None and ends[1] < 0.5)


@given(ANY_FIGURES)
def test_bars_that_no_market_made_are_named(figures: Figures) -> None:
    summary = figures.summary
    found, simulated = answers(summary), summary["data"]["source"] != "file"
    assert found.on_what.startswith("SIMULATED") == simulated
    assert found.on_what.startswith("Bars of a real market") != simulated
    if simulated and found.worked.startswith("Yes"):
        assert found.worked.startswith("Yes, on SIMULATED bars")


@given(ANY_FIGURES)
def test_all_deciding_rules_are_named_and_those_set_aside(figures: Figures) -> None:
    summary = figures.summary
    found = answers(summary)
    decisive = {"REJECTED": "fail", "INCONCLUSIVE": "undecided"}.get(summary["verdict"]["outcome"], "")
    for rule in summary["verdict"]["rules"]:
        if rule["result"] in (decisive, "overridden"):
            assert ASKED.get(rule["name"], rule["name"]) in found.why
    aside = sum(rule["result"] == "overridden" for rule in summary["verdict"]["rules"])
    assert ("set aside by hand" in found.why) == (aside > 0)


@given(ANY_FIGURES)
def test_every_number_is_one_of_the_summary_or_follows_from_it(figures: Figures) -> None:
    summary = figures.summary
    known = [*_numbers(summary), *_derived(summary)]
    for text in texts(summary):
        plain = re.sub(r"\d{4}-\d\d-\d\d|-h3|\b5m\b|95 %|above 0 is", "", text)
        for token in re.findall(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]\d+)?", plain):
            value = float(token.replace(",", ""))
            decimals = len(token.partition(".")[2].partition("e")[0])
            near = max(0.5000001 * 10.0**-decimals, 6e-4 * abs(value))  # as it is rounded, or to four digits
            assert any(abs(value - number) <= near for number in known), (token, text)


def _numbers(value: Any) -> Iterator[float]:
    match value:
        case dict():
            for item in value.values():
                yield from _numbers(item)
        case list():
            yield len(value)
            for item in value:
                yield from _numbers(item)
        case bool() | None | str():
            pass
        case _:
            yield float(value)


def _derived(summary: Summary) -> Iterator[float]:
    rules = summary["verdict"]["rules"]
    results = [rule["result"] for rule in rules]
    yield from (results.count(result) for result in ("pass", "fail", "undecided", "fired"))
    yield from (results.count("fired") + results.count("clear"), results.count("fired") - 2)
    yield len([result for result in results if result in ("pass", "fail", "undecided")])
    yield from (abs(rule["threshold"] - rule["value"]) for rule in rules if rule["value"] is not None)
    yield from (more for rule in rules if (more := days_to_decide(rule, summary["backtest"]["days"])))
    gross, paid = summary["backtest"]["mean_gross_bps"], paid_bps(summary)
    if gross is not None and paid is not None:
        yield from (paid, -gross, gross / 2, 2 * paid)


@given(value=BPS, half_width=BPS.map(abs).filter(bool), line=BPS, days=st.integers(1, 2_000))
def test_days_to_decide_are_those_of_the_rule(value: float, half_width: float, line: float, days: int) -> None:
    estimate = Estimate(value, (value - half_width, value + half_width))
    rule = above("auc", estimate, line, "ranks", days=days)
    more = days_to_decide(vars(rule), days)
    said = re.search(r"about ([\d,]+) more such days would decide", rule.words)
    assert (more is None) == (said is None)
    if more is not None and said is not None:
        assert f"{more:,.0f}" == said[1]


@pytest.mark.parametrize("name", ["low", "high", "value", "threshold"])
def test_nothing_decides_without_an_interval(name: str) -> None:
    rule = a_rule("auc", "undecided", 1.0, low=-1.0, high=3.0)
    assert days_to_decide(rule, 14) == pytest.approx(42)
    assert days_to_decide({**rule, name: None}, 14) is None
