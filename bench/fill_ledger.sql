-- So many paid instalments, from the number %(first)s on: an instruction and two entries each, of two postings.
WITH made AS (
    INSERT INTO ledger.instructions
    SELECT
        'bench-' || n, 'c' || n, 0, 'policy-' || n %% 1000, 'rider-' || n %% 1000, 'fa_1', 100 + n %% 50000,
        1719513000000 + n, DATE '2024-06-28'
    FROM generate_series(%(first)s::bigint, %(first)s::bigint + %(count)s::bigint - 1) AS n
    RETURNING reference_id, amount_paise, created_at_ms
), entry AS (
    INSERT INTO ledger.entries (entry_key, kind, reference_id, event_time_ms)
    SELECT kind || '/' || reference_id, kind, reference_id, created_at_ms
    FROM made, unnest(ARRAY['instructed', 'paid']) AS kind
    RETURNING entry_id, kind, reference_id
)
INSERT INTO ledger.postings (entry_id, line, account, amount_paise)
SELECT entry_id, 1, CASE kind WHEN 'paid' THEN 'claims_payable' ELSE 'claims_incurred' END, amount_paise
FROM entry JOIN made USING (reference_id)
UNION ALL
SELECT entry_id, 2, CASE kind WHEN 'paid' THEN 'cash' ELSE 'claims_payable' END, -amount_paise
FROM entry JOIN made USING (reference_id)
