-- What there is to know of all payments at a moment, in one row.
SELECT
    (SELECT count(*) FROM dispatch.jobs WHERE next_at_ms <= %(now_ms)s AND lease_until_ms <= %(now_ms)s) AS due_payments,
    (
        SELECT coalesce(greatest(0, %(now_ms)s - min(next_at_ms)), 0) / 1000.0
        FROM dispatch.jobs WHERE next_at_ms IS NOT NULL AND lease_until_ms <= %(now_ms)s
    )::float8 AS oldest_due_s,
    coalesce((SELECT is_open FROM dispatch.breaker ORDER BY event_id DESC LIMIT 1), false)::integer AS breaker_open,
    (
        SELECT coalesce(sum(amount_paise), 0)::bigint FROM ledger.postings WHERE account = 'provider_differences'
    ) AS provider_differences_paise,
    (SELECT count(*) FROM dispatch.outbox WHERE NOT published) AS unpublished_records
