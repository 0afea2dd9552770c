-- No row where the rider's day would exceed its limit.
INSERT INTO dispatch.rider_days AS rider_day (worker_id, local_day, paise)
SELECT %(worker_id)s, %(local_day)s, %(paise)s WHERE %(paise)s <= %(limit)s
ON CONFLICT (worker_id, local_day) DO UPDATE SET paise = rider_day.paise + excluded.paise
    WHERE rider_day.paise + excluded.paise <= %(limit)s
RETURNING paise
