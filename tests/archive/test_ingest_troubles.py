"""What goes wrong with `python -m botscalp.ingest`: files, servers, networks and mistakes; each costs no more than itself."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from published import SERIES, interface_rows, name, publish, snapshot
from server import ArchiveServer, path_of

from botscalp.data.manifest import Manifest
from botscalp.data.store import read_manifest
from botscalp.errors import UserError


def test_a_stale_checksum_is_overridden_by_name_and_recorded(
    server: ArchiveServer, ingest: Callable[..., Manifest]
) -> None:
    bad = name("2024-02-26")
    server.files[f"{path_of(bad)}.CHECKSUM"] = f"{'0' * 64}  {bad}\n".encode()
    with pytest.raises(UserError, match="accept_checksum") as caught:
        ingest()
    assert caught.value.value == bad
    manifest = ingest(f"accept_checksum=[{bad}]")
    source = manifest.sources[bad]
    assert (source.overridden, source.published_sha256) == (True, "0" * 64)
    assert sum(source.overridden for source in manifest.sources.values()) == 1
    assert ingest("revisions=true").sources[bad] == source


def test_a_refused_file_spoils_no_other_and_is_asked_for_again(
    server: ArchiveServer, ingest: Callable[..., Manifest], tmp_path: Path
) -> None:
    bad = name("2024-02-26")
    good = server.files[path_of(bad)]
    server.put(bad, b"<html>Please sign in</html>")
    with pytest.raises(UserError, match="no whole zip"):
        ingest()
    manifest = read_manifest(tmp_path / "bars", SERIES)
    assert len(manifest.sources) == 5 and not manifest.months["2024-02"].complete
    server.put(bad, good)
    server.requests.clear()
    assert len(ingest().sources) == 6
    assert server.gets() == [bad]


@pytest.mark.parametrize("fault", ["failing", "forbidden", "missing", "dropped", "no checksum", "HEAD failing"])
def test_one_file_that_cannot_be_had_spoils_no_other(
    server: ArchiveServer, ingest: Callable[..., Manifest], tmp_path: Path, fault: str
) -> None:
    bad = name("2024-01")
    path = path_of(bad)
    if fault == "no checksum":
        server.files[f"{path}.CHECKSUM"] = b"see elsewhere"
    else:
        server.faults[path] = [f"always {fault.removeprefix('HEAD ')}"]
    if fault == "HEAD failing":
        server.faults[f"HEAD {path}"] = ["always failing"]
    with pytest.raises(UserError) as caught:
        ingest("at_once=1")
    assert (caught.value.key, caught.value.value) == ("file", bad)
    assert len(read_manifest(tmp_path / "bars", SERIES).sources) == 5
    server.faults.clear()
    manifest = ingest("at_once=1", *([f"accept_checksum=[{bad}]"] if fault == "no checksum" else []))
    assert len(manifest.sources) == 6
    assert ingest("revisions=true") == manifest


def test_a_refusal_is_said_even_if_the_exchange_fails_after_it(
    server: ArchiveServer, ingest: Callable[..., Manifest], caplog: pytest.LogCaptureFixture
) -> None:
    server.put(name("2024-02-26"), b"<html>Please sign in</html>")
    with pytest.raises(UserError) as caught:
        ingest("end=2024-03-01", "recent=true", "rest_url.spot=http://127.0.0.1:9")
    assert caught.value.key == "rest_url.spot"
    assert any(f"file={name('2024-02-26')}: " in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("seed", range(6))
def test_a_bad_day_of_the_network_changes_nothing(
    server: ArchiveServer, ingest: Callable[..., Manifest], tmp_path: Path, seed: int
) -> None:
    random_ = random.Random(seed)
    for path in list(server.files):
        for asked in (path, f"{path}.CHECKSUM"):
            server.faults[asked] = random_.choices(["dropped", "failing", "broken_off", "truncated", "redirected"], k=2)
    ingest()
    calm = tmp_path / "calm"
    server.faults.clear()
    ingest(f"store={calm}")
    assert snapshot(tmp_path / "bars") == snapshot(calm)


def test_recent_bars_fill_a_day_whose_file_is_refused(
    server: ArchiveServer, ingest: Callable[..., Manifest], tmp_path: Path
) -> None:
    """Also by and by: what a run left of the day, the next one asks for, and no bar beyond it."""
    server.put(name("2024-02-27"), b"<html>Please sign in</html>")
    rows = interface_rows("2024-02-26", "2024-02-27", "2024-02-28")
    for bars in (100, 288):
        server.klines["spot", "BTCUSDT", "5m"] = rows[: 288 + bars]
        with pytest.raises(UserError, match="no whole zip"):
            ingest("start=2024-02-25", "end=2024-02-29", "recent=true")
        month = read_manifest(tmp_path / "bars", SERIES).months["2024-02"]
        assert (month.rows, month.recent_rows, month.gaps) == (4 * 288 + bars, bars, ())
    publish(server, "2024-02-27")
    month = ingest("start=2024-02-25", "end=2024-02-29", "recent=true").months["2024-02"]
    assert (month.rows, month.recent_rows, month.recent) == (5 * 288, 0, ())


def test_no_interface_costs_the_recent_bars_alone(ingest: Callable[..., Manifest], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="recent=false") as caught:
        ingest("end=2024-03-01", "recent=true", "rest_url.spot=http://127.0.0.1:9")
    assert caught.value.key == "rest_url.spot"
    assert len(read_manifest(tmp_path / "bars", SERIES).sources) == 6


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["symbols=[BTCUSD]"], "symbols"),
        (["symbols=[]"], "symbols"),
        (["symbols=[../../etc]"], "symbols"),
        (["interval=7m"], "interval"),
        (["interval=1mo"], "interval"),
        (["interval=1s", "market=um"], "interval"),
        (["market=margin"], "market"),
        (["kind=trades"], "kind"),
        (["kind=funding"], "market"),
        (["start=2024-13"], "start"),
        (["start=January"], "start"),
        (["start=2024-02-30"], "start"),
        (["start=2024-03", "end=2024-02"], "start"),
        (["start=2190"], "start"),
        (["start=0224-01"], "start"),
        (["at_once=0"], "at_once"),
        (["base_url=http://127.0.0.1:9"], "base_url"),
        (["base_url=nonsense"], "base_url"),
        (["end=2024-02", "accept_checksum=x.zip"], "accept_checksum"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_mistake_is_answered_with_its_key(ingest: Callable[..., Manifest], words: list[str], key: str) -> None:
    with pytest.raises(UserError) as caught:
        ingest(*words)
    assert caught.value.key == key
