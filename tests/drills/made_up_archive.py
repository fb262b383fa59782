"""The made-up archive of tests/archive, whose modules find each other in their own folder, for drills that no pytest starts."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.drills.page import ROOT

if str(ROOT / "tests" / "archive") not in sys.path:
    sys.path.append(str(ROOT / "tests" / "archive"))

from csvs import klines_csv
from published import publish, snapshot
from server import ArchiveServer, served, zipped

__all__ = ["ArchiveServer", "csv_of", "published", "snapshot"]


@contextmanager
def published(*months: str) -> Iterator[ArchiveServer]:
    """An archive that holds these months of BTCUSDT 5m."""
    with served() as server:
        publish(server, *months)
        yield server


def csv_of(path: str, *, header: bool) -> bytes:
    """The zip under that path of the archive, with a line of names in it or without: other bytes, the same bars."""
    name = path.rpartition("/")[2]
    return zipped({name.replace(".zip", ".csv"): klines_csv(name, header=header)})
