-- Roles of least privilege, and the ledger: entries of double entry that nobody can edit.
-- Roles belong to the whole cluster: there may be several ledgers in one.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['monsoon_owner', 'monsoon_dispatcher', 'monsoon_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
END
$$;

CREATE SCHEMA ledger;

-- Names in functions are looked up where nobody but a superuser can add any.
CREATE FUNCTION ledger.refuse_edit() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%.% is never edited: a correction is a further entry', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TABLE ledger.accounts (
    account text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('asset', 'liability', 'income', 'expense', 'memorandum')),
    holds text NOT NULL
);

INSERT INTO ledger.accounts (account, kind, holds) VALUES
    ('cash', 'asset', 'money in the account at the payment provider'),
    ('premium_income', 'income', 'premiums received'),
    ('claims_incurred', 'expense', 'payouts instructed'),
    ('claims_payable', 'liability', 'payouts instructed and not yet paid, or returned'),
    ('provider_differences', 'asset', 'what the provider''s statement says otherwise, until it is settled'),
    ('capital_committed', 'memorandum', 'against reserves'),
    ('reserves', 'memorandum', 'what products may pay for a day and cell');

-- What an entry moves; the counter account moves by as much the other way.
CREATE TABLE ledger.kinds (
    kind text PRIMARY KEY,
    account text NOT NULL REFERENCES ledger.accounts,
    counter_account text NOT NULL REFERENCES ledger.accounts
);
INSERT INTO ledger.kinds (kind, account, counter_account) VALUES
    ('premium', 'cash', 'premium_income'),
    ('reserve', 'capital_committed', 'reserves'),
    ('instructed', 'claims_incurred', 'claims_payable'),
    ('paid', 'claims_payable', 'cash'),
    ('reversed', 'cash', 'claims_payable'),
    ('difference', 'cash', 'provider_differences');

-- The terms of a policy that the book is kept by. Its cell is the parent of the home, at resolution 5: no finer place.
CREATE TABLE ledger.policy_terms (
    policy_id text NOT NULL,
    event_id text NOT NULL,
    event_time_ms bigint NOT NULL,
    coverage_start_ms bigint NOT NULL,
    product text NOT NULL,
    cell text NOT NULL CHECK (cell ~ '^85[0-9a-f]{13}$'),
    -- Of the period that begins at coverage_start_ms, as this event states it; NULL: it states none.
    premium_paise bigint CHECK (premium_paise >= 0),
    PRIMARY KEY (policy_id, event_id),
    CONSTRAINT ids_fit_an_index CHECK (octet_length(policy_id) <= 600 AND octet_length(event_id) <= 600)
);
CREATE INDEX policy_terms_by_time ON ledger.policy_terms (policy_id, event_time_ms);

-- One payout instruction for each instalment of a claim.
CREATE TABLE ledger.instructions (
    reference_id text PRIMARY KEY CHECK (reference_id ~ '^[A-Za-z0-9_-]{4,36}$'),
    claim_id text NOT NULL,
    instalment integer NOT NULL CHECK (instalment >= 0),
    policy_id text NOT NULL,
    worker_id text NOT NULL,
    fund_account_id text,
    amount_paise bigint NOT NULL CHECK (amount_paise >= 100),
    created_at_ms bigint NOT NULL,
    local_day date NOT NULL,
    UNIQUE (claim_id, instalment),
    CONSTRAINT amount_is_of_an_instalment CHECK (amount_paise <= 1000000000),
    CONSTRAINT created_after_1970 CHECK (created_at_ms >= 0),
    CONSTRAINT ids_fit_an_index CHECK (
        greatest(octet_length(claim_id), octet_length(policy_id), octet_length(worker_id)) <= 600
        AND coalesce(octet_length(fund_account_id), 0) <= 600
    )
);

CREATE TABLE ledger.entries (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entry_key text NOT NULL UNIQUE CHECK (length(entry_key) BETWEEN 4 AND 200),
    kind text NOT NULL CHECK (kind IN ('premium', 'reserve', 'instructed', 'paid', 'reversed', 'difference')),
    reference_id text REFERENCES ledger.instructions,
    policy_id text,
    event_id text,
    event_time_ms bigint NOT NULL,
    note text,
    -- The transaction that wrote it: postings are added in the same one, or never.
    written_in xid8 NOT NULL DEFAULT pg_current_xact_id(),
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (policy_id, event_id) REFERENCES ledger.policy_terms,
    CONSTRAINT kind_is_known FOREIGN KEY (kind) REFERENCES ledger.kinds,
    CHECK (kind NOT IN ('instructed', 'paid', 'reversed') OR reference_id IS NOT NULL),
    CHECK (kind <> 'premium' OR event_id IS NOT NULL)
);
-- An instalment is instructed once, paid once and reversed once, whatever keys the entries have.
CREATE UNIQUE INDEX one_entry_of_an_instalment ON ledger.entries (reference_id, kind)
    WHERE kind IN ('instructed', 'paid', 'reversed');
CREATE UNIQUE INDEX one_premium_of_an_event ON ledger.entries (policy_id, event_id) WHERE kind = 'premium';
-- Of reconciliation, which looks up payments by time and by instalment.
CREATE INDEX payments_by_time ON ledger.entries (event_time_ms) WHERE kind IN ('paid', 'reversed');
CREATE INDEX entries_by_reference ON ledger.entries (reference_id) WHERE reference_id IS NOT NULL;

-- Positive is debit, negative is credit.
CREATE TABLE ledger.postings (
    entry_id bigint NOT NULL REFERENCES ledger.entries,
    line smallint NOT NULL,
    account text NOT NULL REFERENCES ledger.accounts,
    amount_paise bigint NOT NULL CHECK (amount_paise <> 0),
    PRIMARY KEY (entry_id, line),
    -- So that sums stay within a bigint.
    CONSTRAINT sums_stay_bigint CHECK (abs(amount_paise) <= 1000000000000000)
);
CREATE INDEX postings_by_account ON ledger.postings (account) INCLUDE (amount_paise);

-- At the end of a transaction each entry that it wrote, or added to, is whole: balanced, of two postings, of the
-- accounts of its kind and of the amount that is owed.
CREATE FUNCTION ledger.require_whole() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entry ledger.entries;
    pair ledger.kinds;
    balance numeric;
    lines integer;
    strangers integer;
    moved numeric;
    owed bigint;
BEGIN
    SELECT * INTO STRICT entry FROM ledger.entries WHERE entry_id = NEW.entry_id;
    IF entry.written_in <> pg_current_xact_id() THEN
        RAISE EXCEPTION 'entry % is of an earlier transaction: nothing is added to it', entry.entry_key
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    SELECT * INTO STRICT pair FROM ledger.kinds WHERE kind = entry.kind;
    SELECT
        coalesce(sum(amount_paise), 0), count(*), coalesce(sum(amount_paise) FILTER (WHERE account = pair.account), 0),
        count(*) FILTER (WHERE account <> pair.account AND account <> pair.counter_account)
        INTO balance, lines, moved, strangers FROM ledger.postings WHERE entry_id = NEW.entry_id;
    IF balance <> 0 OR lines <> 2 THEN
        RAISE EXCEPTION 'entry % is not balanced: % postings, % paise', entry.entry_key, lines, balance
            USING ERRCODE = 'check_violation';
    END IF;
    IF strangers > 0 OR moved = 0 THEN
        RAISE EXCEPTION 'entry %: an entry % is of % and %', entry.entry_key, entry.kind, pair.account,
            pair.counter_account USING ERRCODE = 'check_violation';
    END IF;
    IF entry.kind IN ('instructed', 'paid', 'reversed') THEN
        SELECT amount_paise INTO STRICT owed FROM ledger.instructions WHERE reference_id = entry.reference_id;
    END IF;
    IF owed IS NOT NULL AND moved <> owed THEN
        RAISE EXCEPTION 'entry %: % paise of %, and the instruction is of %', entry.entry_key, moved,
            pair.account, owed USING ERRCODE = 'check_violation';
    END IF;
    IF entry.kind = 'reversed' AND NOT EXISTS (
        SELECT FROM ledger.entries WHERE reference_id = entry.reference_id AND kind = 'paid'
    ) THEN
        RAISE EXCEPTION 'entry %: what was not paid is not reversed', entry.entry_key
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER whole_entry AFTER INSERT ON ledger.entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger.require_whole();
CREATE CONSTRAINT TRIGGER whole_entry AFTER INSERT ON ledger.postings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger.require_whole();

-- What is instructed, or insured for a premium, has its entry.
CREATE FUNCTION ledger.require_instructed() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ledger.entries WHERE reference_id = NEW.reference_id AND kind = 'instructed') THEN
        RAISE EXCEPTION 'instruction %: it has no entry', NEW.reference_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER instruction_has_an_entry AFTER INSERT ON ledger.instructions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger.require_instructed();

-- Of a period the premium of the last event stands, and its entries come to that.
CREATE FUNCTION ledger.require_premium() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    terms ledger.policy_terms;
    standing bigint;
    booked numeric;
BEGIN
    SELECT * INTO STRICT terms FROM ledger.policy_terms WHERE policy_id = NEW.policy_id AND event_id = NEW.event_id;
    SELECT premium_paise INTO standing FROM ledger.policy_terms
        WHERE policy_id = terms.policy_id AND coverage_start_ms = terms.coverage_start_ms AND premium_paise IS NOT NULL
        ORDER BY event_time_ms DESC, event_id DESC LIMIT 1;
    SELECT coalesce(sum(posting.amount_paise), 0) INTO booked
        FROM ledger.policy_terms AS each
        JOIN ledger.entries AS entry ON entry.policy_id = each.policy_id AND entry.event_id = each.event_id
        JOIN ledger.postings AS posting ON posting.entry_id = entry.entry_id
        WHERE each.policy_id = terms.policy_id AND each.coverage_start_ms = terms.coverage_start_ms
            AND entry.kind = 'premium' AND posting.account = 'cash';
    IF booked <> coalesce(standing, 0) THEN
        RAISE EXCEPTION 'premium of %, of the period from % on: % paise are booked, and % are stated',
            terms.policy_id, terms.coverage_start_ms, booked, coalesce(standing, 0) USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER premium_as_stated AFTER INSERT ON ledger.policy_terms
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger.require_premium();
CREATE CONSTRAINT TRIGGER premium_as_stated AFTER INSERT ON ledger.entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.kind = 'premium') EXECUTE FUNCTION ledger.require_premium();

DO $$
DECLARE
    each text;
BEGIN
    FOREACH each IN ARRAY ARRAY['accounts', 'kinds', 'policy_terms', 'instructions', 'entries', 'postings'] LOOP
        EXECUTE format(
            'CREATE TRIGGER never_edited BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_edit()', each
        );
        EXECUTE format('ALTER TABLE ledger.%I OWNER TO monsoon_owner', each);
    END LOOP;
END
$$;

-- Also in a session that sets session_replication_role, which passes over triggers otherwise.
DO $$
DECLARE
    each record;
BEGIN
    FOR each IN
        SELECT tgrelid::regclass AS place, tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE NOT tgisinternal AND relnamespace = 'ledger'::regnamespace
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', each.place, each.tgname);
    END LOOP;
END
$$;

-- The loss ratio of the book: of policies by product, local ISO week and the cell of the home. A premium counts in the
-- week in which its cover begins, what an upgrade changes too; a payout in the week of its instruction; one that was returned does not count.
CREATE VIEW ledger.loss_ratio AS
WITH premiums AS (
    SELECT
        terms.product,
        to_char(to_timestamp(terms.coverage_start_ms / 1000.0) AT TIME ZONE 'Asia/Kolkata', 'IYYY-"W"IW') AS iso_week,
        terms.cell,
        posting.amount_paise AS premium,
        0::bigint AS payout
    FROM ledger.entries AS entry
    JOIN ledger.policy_terms AS terms USING (policy_id, event_id)
    JOIN ledger.postings AS posting USING (entry_id)
    WHERE entry.kind = 'premium' AND posting.account = 'cash'
), payouts AS (
    SELECT
        terms.product,
        to_char(to_timestamp(instruction.created_at_ms / 1000.0) AT TIME ZONE 'Asia/Kolkata', 'IYYY-"W"IW'),
        terms.cell,
        0::bigint,
        CASE entry.kind WHEN 'paid' THEN instruction.amount_paise ELSE -instruction.amount_paise END
    FROM ledger.entries AS entry
    JOIN ledger.instructions AS instruction USING (reference_id)
    LEFT JOIN LATERAL (
        SELECT product, cell FROM ledger.policy_terms
        WHERE policy_id = instruction.policy_id AND event_time_ms <= instruction.created_at_ms
        ORDER BY event_time_ms DESC, event_id DESC LIMIT 1
    ) AS terms ON true
    WHERE entry.kind IN ('paid', 'reversed')
)
SELECT
    product,
    iso_week,
    cell,
    sum(premium)::bigint AS premium_paise,
    sum(payout)::bigint AS payout_paise,
    round(sum(payout)::numeric / nullif(sum(premium), 0), 6) AS loss_ratio
FROM (SELECT * FROM premiums UNION ALL SELECT * FROM payouts) AS book
GROUP BY product, iso_week, cell;

CREATE VIEW ledger.balances AS
SELECT account, kind, coalesce(sum(amount_paise), 0)::bigint AS balance_paise
FROM ledger.accounts LEFT JOIN ledger.postings USING (account)
GROUP BY account, kind;

ALTER VIEW ledger.loss_ratio OWNER TO monsoon_owner;
ALTER VIEW ledger.balances OWNER TO monsoon_owner;
ALTER SCHEMA ledger OWNER TO monsoon_owner;
GRANT USAGE ON SCHEMA ledger TO monsoon_dispatcher, monsoon_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO monsoon_dispatcher;
-- An analyst sees no rider and no account of one.
GRANT SELECT ON ledger.accounts, ledger.kinds, ledger.policy_terms, ledger.entries, ledger.postings TO monsoon_reader;
GRANT SELECT ON ledger.loss_ratio, ledger.balances TO monsoon_reader;
GRANT SELECT (reference_id, claim_id, instalment, policy_id, amount_paise, created_at_ms, local_day)
    ON ledger.instructions TO monsoon_reader;
GRANT INSERT ON ledger.policy_terms, ledger.instructions, ledger.postings TO monsoon_dispatcher;
-- Not the columns that say when, and in which transaction.
GRANT INSERT (entry_key, kind, reference_id, policy_id, event_id, event_time_ms, note) ON ledger.entries
    TO monsoon_dispatcher;
-- Which release the schema is of: the table is yoyo's.
GRANT SELECT ON _yoyo_migration TO monsoon_dispatcher, monsoon_reader;
