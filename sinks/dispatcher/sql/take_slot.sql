-- A bucket of `burst` tokens for all instances: when the call may go out, in microseconds from now.
UPDATE dispatch.rate
SET next_free_us = greatest(next_free_us, %(now_us)s - (%(burst)s - 1) * %(interval_us)s) + %(interval_us)s
RETURNING greatest(0, next_free_us - %(interval_us)s - %(now_us)s) AS wait_us
