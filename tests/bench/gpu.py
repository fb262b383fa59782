"""`make bench-gpu`: training on a CUDA device, samples a second by size, precision and torch.compile; docs/benchmarks-gpu.md.

Without such a device nothing is measured and nothing is written.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import product
from typing import Literal

import numpy as np

from tests.bench.environment import ROOT

PAGE = ROOT / "docs" / "benchmarks-gpu.md"
NOTHING = "torch sees no CUDA device on this machine: nothing was measured."
INTRODUCTION = """# Training on a GPU

Written by `make bench-gpu`, on a machine where torch sees a CUDA device:

```sh
make bench-gpu
```
"""
MEASURED = """GRU of one layer, 20 lags, 21 features, `trainer.sampling=sequences` at its defaults, a year of 5-minute rows of noise. Samples are
labelled training rows; the rate is that of the fastest epoch after the first, which compiles, the stopping pass included.
Utilisation (mean), memory and temperature (highest) are nvidia-smi's while it trained.
"""
ROWS, FEATURES, LAGS, EPOCHS = 105_120, 21, 20, 5
QUERY = ("utilization.gpu", "memory.used", "temperature.gpu")


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is trained, and how."""

    hidden: int
    precision: Literal[32, "bf16-mixed"]
    compiled: bool


CASES = [
    Case(hidden=hidden, precision=precision, compiled=compiled)
    for hidden, precision, compiled in product((64, 256), (32, "bf16-mixed"), (False, True))
]


@dataclass
class Card:
    """What nvidia-smi says of the card while it is asked; empty where there is no nvidia-smi."""

    utilisation: list[float] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)
    temperature: list[float] = field(default_factory=list)
    """degrees Celsius"""

    def read(self, lines: Sequence[str]) -> None:
        """Take in lines of "97, 1204, 61"; what a card does not tell ("[N/A]") is left out."""
        for line in lines:
            for values, text in zip(vars(self).values(), line.split(","), strict=False):
                try:
                    values.append(float(text))
                except ValueError:
                    continue

    def cells(self) -> list[str]:
        """Mean utilisation, highest memory and temperature."""
        return [
            f"{statistics.mean(self.utilisation):.0f} %" if self.utilisation else "n/a",
            f"{max(self.memory_mib):,.0f} MiB" if self.memory_mib else "n/a",
            f"{max(self.temperature):.0f} C" if self.temperature else "n/a",
        ]


@contextmanager
def watched(program: str = "nvidia-smi") -> Iterator[Card]:
    """Ask the first card five times a second while the block lasts."""
    card = Card()
    words = [program, f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits", "-lms", "200", "-i", "0"]
    try:
        asked = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        yield card
        return
    try:
        yield card
    finally:
        asked.terminate()
        card.read(asked.communicate()[0].splitlines())


def rate(case: Case, device: Literal["cpu", "cuda"], *, rows: int = ROWS, epochs: int = EPOCHS) -> float:
    """Samples a second of the fastest epoch after the first."""
    import torch
    from hydra import compose, initialize_config_dir

    from botscalp.config import CONF, plain
    from botscalp.features.samples import Timeline
    from botscalp.models.gru import GRU
    from botscalp.options import build
    from botscalp.training.examples import Examples
    from botscalp.training.fit import fit_head

    with initialize_config_dir(str(CONF), version_base="1.3"):
        defaults = build(plain(compose("train"))["trainer"], "trainer")
    settings = replace(
        defaults,
        sampling="sequences",
        epochs=epochs,
        patience=epochs,
        device=device,
        precision=case.precision,
        compile=case.compiled,
    )
    random = np.random.default_rng(0)
    trained = rows - rows // 12
    torch.manual_seed(0)
    ended: list[float] = []
    fit_head(
        GRU(hidden=case.hidden, layers=1, dropout=0.0).head(n_features=FEATURES, lags=LAGS),
        Examples(
            x_NF=random.normal(size=(rows, FEATURES)).astype(np.float32),
            label_N=random.integers(0, 2, rows).astype(np.float32),
            timeline=Timeline(number_N=np.arange(rows), stretch_N=np.zeros(rows, np.int64)),
            train_rows=np.arange(LAGS - 1, trained),
            stopping_rows=np.arange(trained + LAGS, rows),
        ),
        lags=LAGS,
        settings=settings,
        device=device,
        seed=0,
        on_epoch=lambda epoch, metrics: ended.append(time.perf_counter()),
    )
    return (trained - LAGS + 1) / float(np.diff(ended).min())


def table(found: Sequence[tuple[Case, float, Card]]) -> str:
    """A line a case, as Markdown."""
    lines = [
        "| hidden | precision | compiled | samples a second | utilisation | memory | temperature |",
        "|---|---|---|---|---|---|---|",
    ]
    for case, samples_per_s, card in found:
        told = [str(case.hidden), str(case.precision), "yes" if case.compiled else "no", f"{samples_per_s:,.0f}"]
        lines.append(f"| {' | '.join([*told, *card.cells()])} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every case, print, and write the page."""
    import torch

    if not torch.cuda.is_available():
        print(NOTHING)
        return
    name = torch.cuda.get_device_name(0)
    measured = f"Measured {datetime.now(UTC):%Y-%m-%d} on one {name}, torch {torch.__version__}.\n"
    print(measured, flush=True)
    found = []
    for case in CASES:
        with watched() as card:
            samples_per_s = rate(case, "cuda")
        found.append((case, samples_per_s, card))
        print(table(found[-1:]).splitlines()[-1], flush=True)
    PAGE.write_text("\n".join([INTRODUCTION, measured, MEASURED, table(found)]))
    print(PAGE)


if __name__ == "__main__":
    sys.exit(main())
