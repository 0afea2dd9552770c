-- Roles stay: they belong to the whole cluster.
DROP SCHEMA ledger CASCADE;
