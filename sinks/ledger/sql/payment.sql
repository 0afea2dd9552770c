-- The entry by which an instalment was paid.
SELECT entry_key FROM ledger.entries WHERE reference_id = %(reference_id)s AND kind = 'paid'
