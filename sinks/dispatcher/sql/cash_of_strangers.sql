-- Of differences by their keys, what they moved; of payouts that no instruction was known of when they were written.
SELECT entry.entry_key, posting.amount_paise
FROM ledger.entries AS entry
JOIN ledger.postings AS posting USING (entry_id)
WHERE posting.account = 'cash' AND entry.reference_id IS NULL AND entry.entry_key = ANY (%(keys)s)
