"""Lines that are no records, or records that break a rule: one of each kind and more, by stream."""

POINT = ',"lat":1,"lon":1'


def report_line(event_id='"e"', device_id='"dx"', event_time="1718000000000", lat="1"):
    return (
        f'{{"event_id":{event_id},"worker_id":"w","device_id":{device_id},'
        f'"event_time":{event_time},"lat":{lat},"lon":1}}'
    )


def reading_line(reading_id, metric, value, area):
    return (
        f'{{"reading_id":"{reading_id}","provider":"imd","quality":"official",'
        f'"metric":"{metric}","value":{value},"event_time":1718000000000{area}}}'
    )


HOSTILE = {
    "telemetry": [
        *("not json", "null", "[]", "{}", '{"event_id": 1}', "   ", ""),
        '{"a":' * 40 + "1" + "}" * 40,
        '{"a":"' + "x" * 70_000 + '"}',
        report_line(event_id="1"),
        report_line(device_id='"aa:bb:cc:dd:ee:ff"'),
        report_line(event_id='"e2"', lat="91"),
        report_line(event_time="NaN"),
        report_line(event_id='"e4"', event_time="4102444800001"),
        report_line(event_id='"\\ud800"'),
        report_line(event_id='"e5"', event_time="1718000000"),
        report_line(event_id='"e6"', lat="0").replace('"lon":1', '"lon":-0.0'),
        report_line(event_id='"e7"', device_id='"001b44113ab7"'),
        report_line(event_id='"e8"').replace('"w"', '"Asha Kumari"'),
        report_line(event_id='"e9"')[:-1] + ',"received_time":1717900000000}',
        "[" + report_line(event_id='"e10"') + "]",
    ],
    "oracle_readings": [
        reading_line("r", "rain", 1, POINT),
        reading_line("r2", "curfew", 0.5, POINT),
        reading_line("r3", "aqi", 1, ""),
        reading_line("r4", "aqi", 1, ',"wkt":"POLYGON((0 0))"'),
        reading_line("r5", "platform_down", 1, POINT),
        reading_line("r6", "aqi", 1, ',"h3":"83da11fffffffff"'),
        reading_line("r7", "aqi", -999, POINT),
        reading_line("r8", "aqi", 450, POINT + ',"radius_km":4000'),
        reading_line("r9", "aqi", 450, POINT).replace('"imd"', '"IMD"'),
    ],
    "subscriptions": ['{"event_id":"s"}', "false"],
}
