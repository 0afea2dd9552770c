"""What is kept of old reports for order drops tells no window of an hour from all of them."""

import numpy as np
import polars as pl
from kit import LAT, LON, at
from kit.streams import report

from monsoon.pipelines.operators.telemetry_queries import _downsampled
from monsoon.sources.telemetry_columns import records_frame
from monsoon.sources.telemetry_store import in_order, joined
from monsoon.sources.telemetry_table import to_telemetry_table
from monsoon.transforms.geo.cells import cell_of
from monsoon.transforms.product import OrderDrop
from monsoon.transforms.telemetry_conditions.order_drop import order_tallies
from monsoon.transforms.telemetry_conditions.queries import PolicyHolders, ZoneQueries
from monsoon.transforms.validation.record_validator import ValidRecord

WEEK_MS = 7 * 24 * 3_600_000


def telemetry_table_of(frame):
    rows = joined([frame])
    return to_telemetry_table(in_order(rows, np.ones(rows.height, dtype=np.bool_)))


def test_orders_and_weeks_with_orders_stay(tmp_path):
    rng = np.random.default_rng(3)
    records = [
        report(
            f"w{rng.integers(5)}",
            float(minutes),
            event_id=f"e{n}",
            lat=LAT + rng.normal(0, 0.004),
            lon=LON,
            orders_completed=None if rng.random() < 0.1 else int(rng.random() < 0.05),
        )
        for n, minutes in enumerate(np.sort(rng.random(1500) * 240))
    ]
    frame = records_frame([ValidRecord(record) for record in records])
    thin = _downsampled(frame, [8])
    assert thin.height < frame.height * 0.8
    assert _downsampled(frame, []).height == 0
    terms = OrderDrop(0.65, 3_600_000, 4, 2, 5_400_000)
    zone = cell_of(LAT, LON, 8)
    moments = [at(float(minutes)) + WEEK_MS for minutes in rng.random(60) * 300]
    questions = ZoneQueries.of(8, [(None, zone, at_ms) for at_ms in moments])
    whole, kept = (
        order_tallies(terms, telemetry_table_of(each), questions, PolicyHolders(()), 0.0) for each in (frame, thin)
    )
    assert (whole[:, 3] == kept[:, 3]).all()
    assert ((whole[:, 2] > 0) == (kept[:, 2] > 0)).all()
    assert whole[:, 3].max() > 0
    assert isinstance(thin, pl.DataFrame)
