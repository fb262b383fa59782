"""The ledger: what counts as tried on the same test bars, how the trials' Sharpe ratios are pooled, and what a crash leaves."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import composed, composed_plainly

from botscalp.pipeline.ledger import (
    LEDGER,
    Search,
    Trial,
    market_names,
    record_sharpes,
    record_trial,
    search_so_far,
)

BTC, ETH = "real BTCUSDT 5m", "real ETHUSDT 5m"


def trial(
    start: str = "2024-01-01", end: str = "2024-02-01", count: int = 1, markets: tuple[str, ...] = (BTC,)
) -> Trial:
    return Trial(count=count, markets=markets, test_start=start, test_end=end)


def tried(store: Path, new: Trial, run_id: str, *sharpes: float | None) -> Search:
    record_trial(store, new, run_id)
    record_sharpes(store, sharpes, run_id)
    return search_so_far(store, new)


def test_tests_that_overlap_on_one_market_count(tmp_path: Path) -> None:
    assert tried(tmp_path, trial(), "a").count == 1
    assert tried(tmp_path, trial("2024-01-31", "2024-03-01", count=1_000), "b").count == 1_001
    assert tried(tmp_path, trial("2024-03-01", "2024-04-01"), "c").count == 1
    assert tried(tmp_path, trial("2024-01-01", "2024-04-01", markets=(ETH,)), "d").count == 1
    assert tried(tmp_path, trial(), "e").count == 1_002
    assert search_so_far(tmp_path, trial("2024-01-01", "2024-04-01")).count == 1_003


def test_one_symbol_in_common_is_enough_and_counts_once(tmp_path: Path) -> None:
    assert tried(tmp_path, trial(markets=(BTC, ETH)), "both").count == 1
    assert tried(tmp_path, trial(markets=(BTC,)), "btc").count == 2
    assert tried(tmp_path, trial(markets=(ETH, "real SOLUSDT 5m")), "eth").count == 2
    assert tried(tmp_path, trial(markets=(BTC, ETH)), "both again").count == 4


def test_a_line_that_names_no_markets_is_no_trial_of_theirs(tmp_path: Path) -> None:
    line = '{"run_id": "other", "count": 7, "test_start": "2024-01-01", "test_end": "2024-02-01"}\n'
    (tmp_path / LEDGER).write_text(line)
    assert tried(tmp_path, trial(), "own").count == 1


def test_a_run_that_never_came_to_a_figure_counts(tmp_path: Path) -> None:
    record_trial(tmp_path, trial(count=5), "failed")
    assert tried(tmp_path, trial(), "next") == Search(count=6, sharpe_variance=None)


def test_the_same_setting_again_is_no_other_trial(tmp_path: Path) -> None:
    """A run of setting "one" is killed before it comes to a figure, goes on, and is run once more; another one follows."""
    one, two = (replace(trial(), setting=name) for name in ("one", "two"))
    record_trial(tmp_path, one, "killed")
    assert tried(tmp_path, one, "goes on", 2.0) == Search(count=1, sharpe_variance=None)
    assert tried(tmp_path, one, "once more", 2.0) == Search(count=1, sharpe_variance=None)
    assert tried(tmp_path, two, "other", 4.0) == Search(count=2, sharpe_variance=pytest.approx(2.0))
    assert tried(tmp_path, trial(), "of a ledger that knows no settings").count == 3


@pytest.mark.parametrize(
    ("word", "same"),
    [
        ("trainer.window_workers=2", True),
        ("resume=true", True),
        ("study=other", True),
        ("report=true", True),
        ("seed=1", False),
        ("backtest.threshold=0.53", False),
        ("backtest.taker_bps=4", False),
        ("model.hidden=5", False),
        ("wfo.windows=1", False),
        ("label.horizon=4", False),
    ],
)
def test_a_setting_is_all_that_decides_a_run_s_figures(word: str, same: bool) -> None:
    origin = {"data": {"digest": "bars"}, "device": "cpu"}
    assert (composed(word)._setting(origin) == composed()._setting(origin)) == same
    assert composed()._setting(origin | {"data": {"digest": "other"}}) != composed()._setting(origin)


def test_sharpe_ratios_are_pooled(tmp_path: Path) -> None:
    """1, 2, 3 and 6 have variance 14 / 3; one of the grid has none, and another market's 50 is not among them."""
    assert tried(tmp_path, trial(), "one", 2.0) == Search(count=1, sharpe_variance=None)
    tried(tmp_path, trial(markets=(ETH,)), "other", 50.0)
    found = tried(tmp_path, trial(count=4), "grid", 1.0, None, 3.0, 6.0)
    assert (found.count, found.sharpe_variance) == (5, pytest.approx(14 / 3))


@given(st.integers(1, 120))
def test_half_a_line_takes_nothing_with_it(cut: int) -> None:
    """A process that dies while it writes leaves any part of its line; those before and after it are whole."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        record_trial(store, trial(count=2), "first")
        whole = (store / LEDGER).read_bytes()
        record_trial(store, trial(count=4), "killed")
        line = (store / LEDGER).read_bytes()[len(whole) :]
        (store / LEDGER).write_bytes(whole + line[: min(cut, len(line) - 2)])
        assert tried(store, trial(), "next").count == 3


def test_a_market_is_named_whatever_range_or_file_it_is_loaded_from() -> None:
    first = composed_plainly("data=file", "data.path=a.csv", "data.start=2024-01-01").data
    second = composed_plainly("data=file", "data.path=b.csv").data
    assert market_names(first, "5m") == market_names(second, "5m") == (BTC,)
    assert market_names(first, "1m") == ("real BTCUSDT 1m",)


def test_each_symbol_is_a_market() -> None:
    symbols = "data.symbols=[ETHUSDT,BTCUSDT]"
    assert market_names(composed_plainly("data=file", "data.path='{symbol}.csv'", symbols).data, "5m") == (ETH, BTC)
    simulated = market_names(composed_plainly(symbols, "seed=3").data, "5m")
    assert [name.split()[:3] for name in simulated] == [["simulated", "ETHUSDT", "5m"], ["simulated", "BTCUSDT", "5m"]]
    assert all("edge=0.08" in name and "seed=3" in name for name in simulated)
    assert market_names(composed_plainly("data=trivial").data, "5m")[0].startswith("trivial BTCUSDT 5m seed=")


def test_another_seed_is_another_market() -> None:
    names = [market_names(composed_plainly(f"seed={seed}").data, "5m") for seed in (0, 1)]
    assert names[0] != names[1]
    assert market_names(composed_plainly("data.end='2024-01-01'").data, "5m") == names[0]
