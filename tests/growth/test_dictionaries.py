"""No dictionary of strings grows with what phones have ever seen."""

import gc
from typing import Any

import polars as pl
from kit import at
from kit.graph import Scripted
from kit.streams import report

from monsoon.sources.telemetry_columns import coded_type


def dictionary_size():
    """How many texts Polars' dictionary of access points holds, that of a new one among them."""
    gc.collect()
    return int(pl.Series(["one more"]).cast(coded_type("bssids")).to_physical().max()) + 1


def test_new_access_points_leave_nothing_behind(tmp_path):
    """A thousand new access points an hour, for twelve hours: after six they are in cold state alone."""
    source = Scripted(tmp_path / "in", buckets=1)
    words = []
    for hour in range(12):
        seen = [[f"b{hour}x{n}x{k}" for k in range(10)] for n in range(100)]
        reports = [
            report("w0", 60 * hour + n / 2, event_id=f"{hour}-{n}", bssids=seen[n], cell=f"LTE-{hour}-{n}")
            for n in range(100)
        ]
        source.graph.advance(at(60 * hour) - 1)
        source.say("telemetry", reports)
        operators: Any = source.graph.live["riders-evidence"].values()
        (operator,) = operators
        store = operator._reports
        words.append(sum(len(part.batch.words["bssids"]) for part in store._parts if part.batch is not None))
        assert dictionary_size() == 1
    assert max(words) <= 7 * 1000
    assert words[-1] <= words[7] + 1000, "it levels off"
