"""What a person sees while a run works: bars that fit the terminal, and plain lines wherever nobody watches."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terminals import COLOUR, ESCAPE, piped, rows, written

from botscalp.pipeline.progress import FitPace, Pace, folded, lasting, place
from botscalp.windows import Range, Window

# Two windows of two models; a line is said in between. No training: rich and the bars alone.
PROGRAM = """
import logging
from botscalp.pipeline.progress import FitProgress, TerminalHandler
logging.basicConfig(level="INFO", format="%(message)s", handlers=[TerminalHandler()])
with FitProgress(epochs=14) as progress:
    for window in range(2):
        for model, epochs in (("gru", 5), ("linear", 2)):
            progress.fit_started(f"{model} window {window} ({window + 1}/2)", epochs=epochs, samples=52_938)
            for epoch in range(1, epochs + 1):
                progress.epoch_finished(epoch, {"val/loss": 0.7 - epoch / 100})
                progress.bars.refresh()
            progress.fit_finished(epochs)
        logging.info(f"window {window} ({window + 1}/2)  " + "test 2024-01-01 .. 2024-02-01  " * 3 + "/tmp/" + "x" * 90)
"""


def test_on_a_terminal_bars_show_windows_epochs_time_left_and_throughput() -> None:
    shown = rows(written(PROGRAM))
    overall = [row for row in shown if row.startswith("all fits")]
    fits = [row for row in shown if row.startswith(("gru window", "linear window"))]
    assert any(re.search(r" 5/14 epochs .*ETA \d+ s$", row) for row in overall)
    assert any("14/14 epochs" in row for row in overall)
    assert any(re.search(r"gru window 1 \(2/2\) .* 3/5 +epochs [\d,]+ samples/s, loss 0\.67000$", row) for row in fits)
    assert any(row.startswith("linear window 0 (1/2)") and " 2/2 " in row for row in fits)


@pytest.mark.parametrize("columns", [30, 50, 80, 200])
def test_bars_and_lines_keep_to_the_width(columns: int) -> None:
    shown = rows(written(PROGRAM, columns=columns))
    assert any(row.startswith("all fits") for row in shown)
    assert max(len(row) for row in shown if "xxx" not in row) <= columns
    assert sum(row.strip() == "/tmp/" + "x" * 90 for row in shown) == 2 or columns == 200, "a path stays whole"


def test_without_colour_there_is_none() -> None:
    assert COLOUR.search(written(PROGRAM)), "there is colour to leave out"
    plain = written(PROGRAM, NO_COLOR="1")
    assert not COLOUR.search(plain)
    assert "all fits" in plain and ESCAPE.search(plain), "the bars still move"


@pytest.mark.parametrize("env", [{"CI": "true"}, {"CI": "1"}, {"TERM": "dumb"}])
def test_a_log_that_keeps_every_change_gets_plain_lines(env: dict[str, str]) -> None:
    text = written(PROGRAM, **env)
    assert "\x1b" not in text and "all fits" not in text
    assert [row[:14] for row in rows(text) if row.startswith("window")] == ["window 0 (1/2)", "window 1 (2/2)"]


def test_in_a_pipe_there_are_lines_and_nothing_else() -> None:
    text = piped(PROGRAM)
    assert "\x1b" not in text and len(text.splitlines()) == 2
    assert all(len(line) > 180 for line in text.splitlines()), "nobody's width cuts them"
    assert piped(PROGRAM, CI="true") == text


def test_time_left_follows_from_the_epochs_that_were_fitted() -> None:
    now = [0.0]
    pace = Pace(100, clock=lambda: now[0])
    assert pace.said() == "0 s", "nothing to go by"
    pace.finish(20, found=True)
    assert pace.left_s is None, "what was found says nothing of the pace"
    now[0] = 10.0
    pace.reach(5)
    assert pace.done == 25 and pace.left_s == pytest.approx(10 / 5 * 75)
    now[0] = 12.0
    assert pace.said() == "12 s, ETA 2 min", "the clock goes on between epochs"
    pace.finish(20, found=False)  # it stopped early
    assert pace.done == 40 and pace.left_s == pytest.approx(12 / 20 * 60)
    now[0] = 1000.0
    assert pace.said().endswith("ETA 0 s"), "never below"


def test_throughput_counts_labelled_rows_times_epochs() -> None:
    now = [0.0]
    pace = FitPace(clock=lambda: now[0])
    pace.start(1_000)
    now[0] = 4.0
    pace.reach(2, 0.693147)
    assert pace.said() == "500 samples/s, loss 0.69315"
    pace.start(1_000)
    assert pace.said() == "", "of the next fit nothing is known yet"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (89, "89 s"), (150, "2 min"), (5_399, "90 min"), (9_000, "2.5 h")]
)
def test_times_as_people_say_them(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


def test_windows_are_numbered_as_in_files_and_counted_beside() -> None:
    one = Range(0, 1)
    assert place(Window(index=3, train=one, stopping=one, calibration=one, test=one), of=12) == "window  3 ( 4/12)"
    assert place(Window(index=0, train=one, stopping=one, calibration=one, test=one), of=1) == "window 0 (1/1)"


@given(
    words=st.lists(st.text("abc/._[]", min_size=1, max_size=40), min_size=1, max_size=30),
    width=st.integers(20, 120),
)
def test_folding_keeps_every_word_and_the_width(words: list[str], width: int) -> None:
    line = f"why            {' '.join(words)}"
    folded_rows = folded(line, width).split("\n")
    assert " ".join(folded_rows).split() == line.split(), "no word is lost or split"
    for row in folded_rows:
        assert len(row) <= width or len(row.split()) == 1 or row.startswith("why")
    indent = 15 if width >= 60 else 2
    assert all(row.startswith(" " * indent) and row[indent] != " " for row in folded_rows[1:])


def test_lines_that_fit_stay_as_they_are() -> None:
    text = "\n  data      BTCUSDT\n\nVERDICT        REJECTED"
    assert folded(text, 80) == text
