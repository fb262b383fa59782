"""`make drill-secrets`: secrets wherever a user may keep some, commands of every kind, and a search through all that is written."""

import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.drills.canaries import Planted, Search, forms_of, plant
from tests.drills.page import ROOT, Finding, conclude
from tests.drills.planted_commands import Bench, ingests, local_machine, others, refusals, trains
from tests.drills.rented_machine import rented_machine


def main() -> None:
    """All of it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="secrets-") as place:
        bench = Bench(plant(Path(place), ROOT))
        refusals(bench)
        others(bench, trains(bench))
        ingests(bench)
        local_machine(bench)
        rented_machine(bench)
        findings = [*found_by(bench), *proven(bench.planted)]
    conclude("secrets", "Secrets", findings, seconds=time.monotonic() - began)


def found_by(bench: Bench) -> list[Finding]:
    """A finding for each place in which a secret was planted."""
    search = Search(bench.planted).look(bench.planted.folder)
    for place, form, where in search.found:
        print(f"{place} {form} in {where}", flush=True)
    times = Counter(place for place, _, _ in search.found)
    looked = f"{search.files:,} files, {search.bytes_ / 1e6:,.0f} MB"
    commands = len(bench.ended)
    return [
        Finding(
            f"{commands} commands end as they should: well, by mistakes, by a fault, interrupted, on other machines",
            "; ".join(bench.unexpected) or f"{commands} of {commands}",
            not bench.unexpected,
        ),
        *(
            Finding(
                f"a secret in {place} is in nothing that was written or said",
                f"{times[place]} times in {looked}",
                not times[place],
            )
            for place in bench.planted.by_place
        ),
    ]


def proven(planted: Planted) -> list[Finding]:
    """The search finds what is there: a canary in a run's folder, in each of its forms."""
    control = planted.folder / "control"
    control.mkdir()
    canary = planted["MY_TOKEN"]
    forms = list(forms_of(canary))
    for number, (_, piece) in enumerate(forms):
        (control / f"{number}.txt").write_bytes(b"before " + piece + b" after")
    packed = packed_with(canary, control)
    found = {where.partition(":")[0].removesuffix(" unpacked") for _, _, where in Search(planted).look(control).found}
    missed = {str(path) for path in [*control.glob("*.txt"), *packed]} - found
    total = len(forms) + len(packed)
    return [
        Finding(
            "and the search itself finds one that is put there, in every form and packed in gzip, Parquet, zip and SQLite",
            f"{total - len(missed)} of {total}",
            not missed,
        )
    ]


def packed_with(canary: str, folder: Path) -> list[Path]:
    """Files of every kind that pack what they hold, with the canary inside."""
    import gzip
    import sqlite3
    import zipfile

    import pyarrow as pa
    from pyarrow import parquet

    text = (canary + " ") * 3
    paths = [folder / f"packed.{kind}" for kind in ("gz", "parquet", "zip", "db")]
    paths[0].write_bytes(gzip.compress(text.encode()))
    parquet.write_table(pa.table({"text": [text, text]}), paths[1], compression="zstd")
    with zipfile.ZipFile(paths[2], "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("name", text)
    database = sqlite3.connect(paths[3])
    database.execute("CREATE TABLE one (text)")
    database.execute("INSERT INTO one VALUES (?)", (text,))
    database.commit()
    database.close()
    return paths


if __name__ == "__main__":
    main()
