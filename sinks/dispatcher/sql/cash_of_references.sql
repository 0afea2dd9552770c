-- What the book says left and came back, of these instructions and of those with an entry in a time. What an earlier
-- reconciliation corrected counts on the side that it corrected.
WITH cash AS (
    SELECT
        entry.reference_id,
        CASE
            WHEN entry.note IN ('debit', 'credit') THEN entry.note
            WHEN posting.amount_paise < 0 THEN 'debit'
            ELSE 'credit'
        END AS side,
        posting.amount_paise,
        entry.kind <> 'difference' AND entry.event_time_ms >= %(from_ms)s AND entry.event_time_ms < %(to_ms)s
            AS is_within
    FROM ledger.entries AS entry
    JOIN ledger.postings AS posting USING (entry_id)
    WHERE posting.account = 'cash' AND entry.reference_id IN (
        SELECT unnest(%(references)s::text[])
        UNION
        SELECT reference_id FROM ledger.entries
        WHERE kind IN ('paid', 'reversed') AND event_time_ms >= %(from_ms)s AND event_time_ms < %(to_ms)s
    )
)
SELECT reference_id, side, sum(amount_paise)::bigint AS paise, bool_or(is_within) AS is_within
FROM cash
GROUP BY reference_id, side
