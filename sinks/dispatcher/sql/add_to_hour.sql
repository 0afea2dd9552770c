-- No row where the hour would exceed its limit.
INSERT INTO dispatch.hours AS hour (hour_ms, paise)
SELECT %(hour_ms)s, %(paise)s WHERE %(paise)s <= %(limit)s
ON CONFLICT (hour_ms) DO UPDATE SET paise = hour.paise + excluded.paise
    WHERE hour.paise + excluded.paise <= %(limit)s
RETURNING paise
