-- An entry with its postings; no row where one of that key is there already.
WITH entry AS (
    INSERT INTO ledger.entries (entry_key, kind, reference_id, policy_id, event_id, event_time_ms, note)
    VALUES (
        %(entry_key)s, %(kind)s, %(reference_id)s, %(policy_id)s, %(event_id)s, %(event_time_ms)s, %(note)s
    )
    ON CONFLICT (entry_key) DO NOTHING
    RETURNING entry_id
)
INSERT INTO ledger.postings (entry_id, line, account, amount_paise)
SELECT entry_id, line, account, amount_paise
FROM entry, unnest(%(accounts)s::text[], %(amounts)s::bigint[]) WITH ORDINALITY AS posting (account, amount_paise, line)
RETURNING entry_id
