"""report.html and figures/, drawn when all figures of a run are known."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botscalp.report.material import Material
from botscalp.shortages import shortage

logger = logging.getLogger(__name__)


def write_page(folder: Path, summary: Mapping[str, Any], material: Callable[[], Material]) -> None:
    """Draw the run into its folder.

    Hours of training stand behind the run and nothing but its looks depends on this: whatever goes wrong here is said, with
    where it happened unless the machine refused, and the run goes on without the page.
    """
    try:
        # Here, for it brings matplotlib, which a run without the page does without.
        from botscalp.report.run_page import write_report

        write_report(folder, summary, material())
    except Exception as error:
        if found := shortage(error):
            logger.warning("report.html could not be drawn: %s", found)
        else:
            logger.exception("report.html could not be drawn; all figures of the run are in summary.json")
