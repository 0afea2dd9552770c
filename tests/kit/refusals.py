"""Input of which many records are refused."""

import json

from kit.streams import report, small_storm, write_lines, write_streams


def many_refused(folder, good, bad):
    records = small_storm()
    lines = [json.dumps(report("w1", 0.01 * number)) for number in range(good)]
    in_seconds = [report("w1", 0, event_id=f"s{number}", event_time=1_719_531_000 + number) for number in range(bad)]
    lines += map(json.dumps, in_seconds)
    write_streams(folder, {**records, "telemetry": []})
    write_lines(folder, "telemetry", lines, parts=3)
    return folder
