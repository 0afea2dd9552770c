-- What has left and not come back, by instruction, as the ledger has it; none of 0.
SELECT entry.reference_id, (-sum(posting.amount_paise))::bigint AS paise
FROM ledger.entries AS entry
JOIN ledger.postings AS posting USING (entry_id)
WHERE posting.account = 'cash' AND entry.kind IN ('paid', 'reversed')
GROUP BY entry.reference_id
HAVING sum(posting.amount_paise) <> 0
