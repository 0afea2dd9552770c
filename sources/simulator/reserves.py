"""The input stream `reserves` of a storm, where its file states reserves."""

from __future__ import annotations

from typing import Any

import h3
import numpy as np
import polars as pl

from monsoon.sources.simulator.storm import Storm

RESOLUTION = 5
RESERVE_SCHEMA: dict[str, Any] = {
    "reserve_id": pl.String,
    "event_time": pl.Int64,
    "product": pl.String,
    "day": pl.String,
    "cell": pl.String,
    "amount_paise": pl.Int64,
}


def reserves(storm: Storm) -> pl.DataFrame:
    """The storm's reserves, RESERVE_SCHEMA, in the file's order; an amount in rupees is rounded to the paisa."""
    rows = []
    for number, reserve in enumerate(storm.modeled.reserves):
        place = storm.places[reserve.place]
        rows.append(
            {
                "reserve_id": f"{reserve.product}-{reserve.place}-{reserve.day}-{number}",
                "event_time": storm.time_ms(reserve.time),
                "product": reserve.product,
                "day": reserve.day.isoformat(),
                "cell": h3.latlng_to_cell(place.lat, place.lon, RESOLUTION),
                "amount_paise": int(np.rint(reserve.amount_inr * 100)),
            }
        )
    return pl.DataFrame(rows, schema=RESERVE_SCHEMA)
