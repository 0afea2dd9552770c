UPDATE dispatch.hours SET paise = 0 WHERE hour_ms = %(hour_ms)s
