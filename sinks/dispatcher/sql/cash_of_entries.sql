SELECT entry.entry_key, posting.amount_paise
FROM ledger.entries AS entry
JOIN ledger.postings AS posting USING (entry_id)
WHERE posting.account = 'cash' AND entry.entry_key = ANY (%(keys)s)
