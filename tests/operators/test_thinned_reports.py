"""What is kept of old reports for order drops tells no window of an hour from all of them."""

import numpy as np
from kit import LAT, LON, at
from kit.streams import report

from monsoon.pipelines.operators.telemetry_queries import _downsampled
from monsoon.sources.report_batch import from_frame, to_table
from monsoon.sources.telemetry_columns import records_frame
from monsoon.transforms.geo.cells import cell_of
from monsoon.transforms.panes import BASELINE_GRACE_MS
from monsoon.transforms.product import OrderDrop
from monsoon.transforms.telemetry_conditions.order_drop import order_tallies
from monsoon.transforms.telemetry_conditions.queries import PolicyHolders, ZoneQueries
from monsoon.transforms.validation.record_validator import ValidRecord

WEEK_MS = 7 * 24 * 3_600_000


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
    batch = from_frame(frame)
    thin = _downsampled(batch, [8])
    assert len(thin) < len(batch) * 0.8
    terms = OrderDrop(0.65, 3_600_000, 4, 2, 5_400_000)
    zone = cell_of(LAT, LON, 8)
    moments = [at(float(minutes)) + WEEK_MS for minutes in rng.random(60) * 300]
    questions = ZoneQueries.of(8, [(None, zone, at_ms) for at_ms in moments])
    whole, kept = (order_tallies(terms, to_table(each), questions, PolicyHolders(()), 0.0) for each in (batch, thin))
    assert (whole[:, 3] == kept[:, 3]).all()
    assert ((whole[:, 2] > 0) == (kept[:, 2] > 0)).all()
    assert whole[:, 3].max() > 0


def test_a_week_that_one_report_received_in_time_shows_stays(tmp_path):
    """Of a minute's reports without orders, all received in one minute, neither the first nor the last was in time."""
    seconds = [(0, 20), (30, 20), (31, 50)]
    records = [
        report(f"w{n}", 0, event_id=f"e{n}", orders_completed=0)
        | {"event_time": at(0) + 1000 * sent, "received_time": at(0) + BASELINE_GRACE_MS + 1000 * received}
        for n, (sent, received) in enumerate(seconds)
    ]
    batch = from_frame(records_frame([ValidRecord(record) for record in records]))
    questions = ZoneQueries.of(8, [(None, cell_of(LAT, LON, 8), at(10) + WEEK_MS)])
    terms = OrderDrop(0.65, 3_600_000, 4, 2, 5_400_000)
    whole, kept = (
        order_tallies(terms, to_table(each), questions, PolicyHolders(()), 0.0)
        for each in (batch, _downsampled(batch, [8]))
    )
    assert whole[0, 2] == kept[0, 2] == 1
