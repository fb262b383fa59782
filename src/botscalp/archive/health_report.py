"""The health of several series, left beside their manifests as JSON and as a picture."""

from collections.abc import Sequence
from pathlib import Path

from botscalp.archive.health import Health, health_of
from botscalp.archive.health_figure import calendar
from botscalp.data.manifest import Series
from botscalp.report.drawing import write_png
from botscalp.whole_files import write_whole


def health_report(store: Path, wanted: Sequence[Series]) -> list[Health]:
    """Look through each series, and leave `health.json` and the calendar `health.png` beside its manifest.

    Raises:
        UserError: nothing is stored of a series, or a file is not the one that was written.
    """
    found = []
    for series in wanted:
        health = health_of(store, series)
        folder = series.folder(store)
        write_whole(folder / "health.json", health.json)
        if health.calendar:
            write_png(folder / "health.png", calendar(health))
        found.append(health)
    return found
