"""The guard on recordings of real phones: nobody in them is a spoofer."""

import gzip
import itertools

import numpy as np
import polars as pl
import pytest
from evidence.conftest import NOW_MS, ZONE, evidence_of, north, reports, telemetry_table_of

from monsoon.transforms.evidence.limits import REST_ACCEL_VAR, UNKNOWN_TOWER_RANGE_M
from monsoon.transforms.evidence.measure import measure
from monsoon.transforms.evidence.references import References
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.guard.signals import CLEAR, NULL, STRONG, signals_of
from monsoon.transforms.pane_aggregation import panes_of
from monsoon.transforms.telemetry_table import TelemetryTable

L1_HZ, L1_WIDTH_HZ = 1_575_420_000, 1_000_000


def _signals(evidence):
    unknown = np.full(len(evidence.values["ring_score"]), np.nan)
    return signals_of(evidence, unknown, unknown)


def test_two_wheeler_rides_are_no_phone_at_rest(shared):
    """15 s variances of every recorded phone, on a path of the length that such a ride has."""
    rides = pl.read_parquet(shared / "data/accel/two_wheeler_rides.parquet").with_columns(
        (pl.col("ax_mps2") ** 2 + pl.col("ay_mps2") ** 2 + pl.col("az_mps2") ** 2).sqrt().alias("a"),
        (pl.col("ts_ms_epoch") // 15_000).alias("window"),
    )
    variances = rides.group_by("ride", "phone_id", "window").agg(pl.col("a").var(), pl.len())
    variances = variances.filter(pl.col("len") > 200).sort("ride", "phone_id", "window")
    phones = variances.group_by("ride", "phone_id").agg(pl.col("a"))
    rows = []
    for number, accel_var in enumerate(phones["a"].to_list()):
        # A recording of a minute or two, again and again until it is a ride of 20 steps.
        drawn = list(itertools.islice(itertools.cycle(accel_var), 21))
        lat = [north(90 * step) for step in range(21)]
        rows += reports(f"w{number}", 21, accel_var=drawn, lat=lat, accuracy_m=8.0)
    workers = [f"w{number}" for number in range(phones.height)]
    evidence = evidence_of(rows, workers)
    assert phones.height > 20
    assert set(_signals(evidence)["motion"].status.tolist()) == {CLEAR}
    assert np.nanmax(evidence.values["still_while_moving"]) <= 0.5
    assert np.nanmin(evidence.values["accelerometer_variance"]) > 100 * REST_ACCEL_VAR


def test_a_phone_that_lies_still_is_one_at_rest(shared):
    trials = pl.read_csv(shared / "data/accel/phone_trials_still_handled_walk.csv.gz").with_columns(
        (pl.col("ax_mps2") ** 2 + pl.col("ay_mps2") ** 2 + pl.col("az_mps2") ** 2).sqrt().alias("a")
    )
    still = trials.filter(pl.col("label_derived") == "still").group_by("trial").agg(pl.col("a").var())["a"]
    assert len(still) > 3
    assert still.max() < REST_ACCEL_VAR
    lat = [north(90 * step) for step in range(21)]
    rows = reports("w", 21, accel_var=list(itertools.islice(itertools.cycle(still), 21)), lat=lat, accuracy_m=8.0)
    assert _signals(evidence_of(rows))["motion"].status.tolist() == [STRONG]


@pytest.mark.parametrize("accuracy_m", [None, 5.0, 10.0, 20.0, 50.0])
@pytest.mark.parametrize("step_ms", [1, 15_000])
def test_geolifes_jumps_make_nobody_a_spoofer(shared, accuracy_m, step_ms):
    """Every 10 min of a person's weeks a claim, whatever accuracy the fixes had said."""
    fixes = pl.read_csv(shared / "data/gps/geolife_user1.csv.gz").with_columns(
        t=pl.col("ts_local_naive").str.to_datetime().dt.epoch("ms")
    )
    fixes = fixes.sort("t").with_columns(step=pl.col("t") // step_ms).unique("step", keep="first", maintain_order=True)
    count = fixes.height
    telemetry = TelemetryTable.from_columns(
        worker=["w"] * count, event_time_ms=fixes["t"].to_list(), lat=fixes["lat"].to_list(),
        lon=fixes["lon"].to_list(), accuracy_m=[accuracy_m] * count,
    )  # fmt: skip
    moments = np.unique(fixes["t"].to_numpy() // 600_000) * 600_000 + 600_000
    queries = Queries.of(9, np.zeros(len(moments), int), np.full(len(moments), ZONE, np.uint64), moments)
    evidence = measure(telemetry, panes_of(telemetry), References.none(telemetry), queries)
    assert np.nansum(evidence.values["max_implied_speed_mps"] > 70) >= 10  # they are there
    assert STRONG not in _signals(evidence)["motion"].status
    assert len(moments) > 900


def _gnss(path):
    """Mean C/N0 and AGC on L1 by second; of a GnssLogger's text, or of a table, which may lack AGC."""
    names = {"utcTimeMillis": "t", "CarrierFrequencyHz": "hz", "Cn0DbHz": "cn0", "AgcDb": "agc"}
    if path.name.endswith(".txt.gz"):
        with gzip.open(path, "rt") as file:
            lines = [line.rstrip("\n").split(",") for line in file if line.startswith(("Raw,", "Agc,"))]
        table = pl.DataFrame(
            [{"t": line[1], "hz": line[22], "cn0": line[16], "agc": None} for line in lines if line[0] == "Raw"]
            + [{"t": line[1], "hz": line[12], "cn0": None, "agc": line[11]} for line in lines if line[0] == "Agc"],
            schema=dict.fromkeys(names.values(), pl.String),
        )
    else:
        table = pl.read_csv(path, infer_schema=False)
        table = table.rename({name: new for name, new in names.items() if name in table.columns})
        if "agc" not in table.columns:
            table = table.with_columns(agc=pl.lit(None, pl.String))
    numbers = table.select(pl.col(*names.values()).str.strip_chars().cast(pl.Float64, strict=False))
    l1 = numbers.filter((pl.col("hz") - L1_HZ).abs() < L1_WIDTH_HZ)
    return l1.group_by(pl.col("t") // 1000).agg(pl.col("cn0", "agc").mean()).sort("t")


RECORDINGS = {
    "pixel7_gnsslogger_walk_20231107.txt.gz": CLEAR,
    "pixel7_raw.csv.gz": NULL,  # without AGC there is no telling
    "gsdc2022_device_gnss.csv.gz": NULL,
    "gsdc2023_pixel7pro_device_gnss.csv.gz": NULL,
}


@pytest.mark.parametrize(("name", "expected"), RECORDINGS.items())
def test_genuine_sky_raises_no_radio_signal(shared, name, expected):
    """Each half of a recording against the other, as the device's baseline."""
    sky = _gnss(shared / "data/gnss" / name)
    assert sky["cn0"].drop_nulls().len() > 3
    # AGC is recorded at other seconds than signals: the nearest.
    cn0 = sky.select("t", "cn0").drop_nulls().sort("t")
    epochs = cn0.join_asof(sky.select("t", "agc").drop_nulls().sort("t"), on="t", strategy="nearest")
    halves = epochs[: epochs.height // 2], epochs[epochs.height // 2 :]
    for before, now in (halves, halves[::-1]):
        rows = []
        for end_ms, part in ((NOW_MS - 90 * 60_000, before), (NOW_MS, now)):
            count = max(part.height, 25)
            values = {n: list(itertools.islice(itertools.cycle(part[n].to_list()), count)) for n in ("cn0", "agc")}
            rows += reports("w", count, end_ms=end_ms, cn0_dbhz=values["cn0"], agc_db=values["agc"])
        evidence = evidence_of(rows)
        radio = _signals(evidence)["radio"]
        assert radio.status.tolist() == [expected]
        if expected == CLEAR:
            assert radio.value[0] == 0.0
            assert radio.reports[0] >= 25


def test_phones_beside_indian_towers_agree_with_them(shared):
    """Towers as OpenCelliD has them, without a range: a phone 2 km away is within it."""
    towers = pl.read_csv(shared / "data/cellwifi/india_opencellid_sample.csv").unique(["mcc", "mnc", "tac", "cid"])
    names = [f"LTE-{mcc}-{net}-{area}-{cell}" for mcc, net, area, cell in towers["mcc", "mnc", "tac", "cid"].rows()]
    rows = []
    for name, lat, lon in zip(names, towers["lat"], towers["lon"], strict=True):
        rows += reports(name, 4, lat=lat + 0.018, lon=lon, cell=name)
    telemetry = telemetry_table_of(rows)
    order = [names.index(cell) for cell in telemetry.cells]
    lat, lon, none = towers["lat"].to_numpy()[order], towers["lon"].to_numpy()[order], np.empty(0)
    references = References(lat, lon, np.full(len(names), UNKNOWN_TOWER_RANGE_M), none, none)
    workers = [telemetry.workers.index(name) for name in names]
    queries = Queries.of(9, workers, [ZONE] * len(names), [NOW_MS] * len(names))
    evidence = measure(telemetry, panes_of(telemetry), references, queries)
    assert len(names) > 40
    assert set(_signals(evidence)["cell"].status.tolist()) == {CLEAR}
