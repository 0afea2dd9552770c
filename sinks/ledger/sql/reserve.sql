-- What is set aside for a product, day and cell, by its entries.
SELECT coalesce(sum(posting.amount_paise), 0)::bigint AS amount_paise
FROM ledger.entries AS entry
JOIN ledger.postings AS posting USING (entry_id)
WHERE entry.kind = 'reserve' AND entry.note = %(place)s AND posting.account = 'capital_committed'
