"""Chunks: every row that is asked for once, with its lags before it, and nothing from beyond a gap."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from botscalp.features.samples import Timeline, predictable, stretch_starts
from botscalp.training.chunks import Chunks, TrainingBatches, with_lags, with_warm_up
from botscalp.training.module import steps_of
from botscalp.types import Bars, Int64

MINUTE_NS = 60_000_000_000


def bars_at(number: Int64) -> Bars:
    price = np.ones(len(number))
    return Bars(
        symbol="X",
        interval_ns=MINUTE_NS,
        open_time_ns=number * MINUTE_NS,
        **dict.fromkeys(("open", "high", "low", "close", "volume"), price),
    )


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[Bars], int, int]:
    """One or two symbols with gaps, lags, and a lookback."""
    symbols = []
    for _ in range(draw(st.integers(1, 2))):
        steps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 7]), min_size=20, max_size=120))
        symbols.append(bars_at(1_000 + np.cumsum(steps)))
    return symbols, draw(st.integers(1, 6)), draw(st.integers(0, 5))


def rows_of(symbols: list[Bars], lags: int, lookback: int, keep: np.random.Generator) -> Int64:
    able = np.concatenate([predictable(one, lags, lookback) for one in symbols])
    return np.flatnonzero(able & (keep.random(len(able)) < 0.8))


def read_rows(chunks: Chunks) -> Int64:
    """Row of every step, (C, S)."""
    return steps_of(torch.from_numpy(chunks.span_C2), chunks.steps).numpy()


def asked_rows(chunks: Chunks) -> Int64:
    """The rows that are asked for, in their order."""
    return read_rows(chunks)[:, -chunks.last :][chunks.chunk_R, chunks.step_R]


def begins(chunks: Chunks) -> Int64:
    """Where each chunk's rows begin among those asked for."""
    return np.flatnonzero(np.diff(chunks.chunk_R, prepend=-1))


@given(markets(), st.integers(1, 9), st.integers(0, 2**32), st.data())
def test_each_row_is_asked_for_once_with_its_lags_and_no_gap_before_it(
    market: tuple[list[Bars], int, int], length: int, seed: int, data: st.DataObject
) -> None:
    symbols, lags, lookback = market
    rows = rows_of(symbols, lags, lookback, np.random.default_rng(seed))
    if not len(rows):
        return
    number, first = np.concatenate([one.number for one in symbols]), data.draw(st.integers(1, length))
    chunks = with_lags(rows, lags=lags, length=length, first=first)
    assert np.array_equal(asked_rows(chunks), rows)
    assert chunks.asked.sum() == len(rows)
    read = read_rows(chunks)
    assert np.array_equal(read.max(axis=1)[chunks.chunk_R], np.maximum.reduceat(rows, begins(chunks))[chunks.chunk_R])
    for chunk, step in zip(chunks.chunk_R, chunks.step_R + lags - 1, strict=True):
        seen = number[read[chunk, : step + 1]]
        assert step + 1 >= lags and (np.diff(seen) == 1).all(), "without a gap, of one symbol"


@given(markets(), st.integers(1, 9), st.integers(0, 12), st.integers(0, 2**32))
def test_a_stretch_starts_its_warm_up_before_or_at_the_gap(
    market: tuple[list[Bars], int, int], length: int, more: int, seed: int
) -> None:
    symbols, lags, lookback = market
    keep = np.random.default_rng(seed)
    rows = rows_of(symbols, lags, lookback, keep)
    if not len(rows):
        return
    number, timeline, warm_up = (
        np.concatenate([one.number for one in symbols]),
        Timeline.of(symbols, lookback),
        lags - 1 + more,
    )
    chunks = with_warm_up(rows, timeline, warm_up=warm_up, length=length)
    assert np.array_equal(asked_rows(chunks), rows)
    read = read_rows(chunks)
    for row, chunk, step in zip(rows, chunks.chunk_R, chunks.step_R, strict=True):
        seen = number[read[chunk, : step + 1]]
        assert (np.diff(seen) == 1).all() and step + 1 >= lags
        assert step >= warm_up or read[chunk, 0] == timeline.stretch_N[row], "whole, or as long as the stretch is"
    some = rows[keep.random(len(rows)) < 0.5]
    if len(some):
        fewer = with_warm_up(some, timeline, warm_up=warm_up, length=length)
        of = dict(zip(rows.tolist(), chunks.first_C[chunks.chunk_R].tolist(), strict=True))
        assert [of[row] for row in some.tolist()] == fewer.first_C[fewer.chunk_R].tolist(), "whatever else is asked for"


@given(markets())
def test_a_stretch_starts_where_a_slow_walk_back_ends(market: tuple[list[Bars], int, int]) -> None:
    symbols, _, lookback = market
    number = symbols[0].number
    for row, start in enumerate(stretch_starts(symbols[0], lookback).tolist()):
        back = row
        while back > lookback and number[back] - number[back - 1] == 1:
            back -= 1
        assert start == max(back, lookback)


def test_with_a_length_of_one_a_chunk_is_a_sample() -> None:
    chunks = with_lags(np.array([4, 5, 9]), lags=3, length=1, first=1)
    assert chunks.first_C.tolist() == [2, 3, 7] and chunks.steps == 3 and chunks.last == 1


def test_an_epoch_holds_each_row_once_in_another_order_and_other_chunks_as_the_seed_decides() -> None:
    rows = np.concatenate([np.arange(100, 600), np.arange(700, 1_300)])

    def epoch(batches: TrainingBatches) -> list[tuple[int, ...]]:
        found = []
        for span_B2, asked_BK in batches:
            assert len(span_B2) <= 16
            row_BK = steps_of(span_B2, 19 + 8)[:, -8:]
            found += [tuple(row[asked].tolist()) for row, asked in zip(row_BK, asked_BK, strict=True)]
        return found

    batches, twin, other = (TrainingBatches(rows, lags=20, length=8, batch=16, seed=seed) for seed in (3, 3, 4))
    epochs = [epoch(batches) for _ in range(4)]
    for one in epochs:
        assert sorted(row for chunk in one for row in chunk) == rows.tolist()
        assert [chunk for chunk in one] != sorted(one)
    assert len({frozenset(one) for one in epochs}) > 1, "chunks begin elsewhere"
    assert epochs == [epoch(twin) for _ in range(4)] != [epoch(other) for _ in range(4)]
    batches = TrainingBatches(rows, lags=20, length=8, batch=16, seed=5)
    for _ in range(5):
        expected = len(batches)
        assert len(list(batches)) == expected, "Lightning counts on it"
