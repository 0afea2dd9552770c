-- What the dispatcher keeps of each payment: what it intended, what the provider said, and when to go on.
-- depends: 0001.ledger

CREATE SCHEMA dispatch;

-- What is written before the provider is called, word for word. The key is the provider's idempotency key.
CREATE TABLE dispatch.attempts (
    reference_id text NOT NULL REFERENCES ledger.instructions,
    attempt smallint NOT NULL CHECK (attempt BETWEEN 0 AND 99),
    key text NOT NULL UNIQUE CHECK (key ~ '^[A-Za-z0-9_-]{4,36}$'),
    body text NOT NULL,
    intended_at_ms bigint NOT NULL,
    version text NOT NULL,
    PRIMARY KEY (reference_id, attempt)
);

-- What the provider said of an attempt, each status once, in whatever order and way it was told.
CREATE TABLE dispatch.observations (
    key text NOT NULL REFERENCES dispatch.attempts (key),
    status text NOT NULL CHECK (status IN (
        'pending', 'queued', 'scheduled', 'processing', 'processed', 'reversed', 'failed', 'rejected', 'cancelled'
    )),
    provider_id text NOT NULL,
    source text NOT NULL CHECK (source IN ('call', 'webhook', 'statement')),
    seen_at_ms bigint NOT NULL,
    PRIMARY KEY (key, status)
);
-- Of reconciliation: the payouts that a statement names.
CREATE INDEX observations_by_payout ON dispatch.observations (provider_id);

-- A new key only after `failed`: whatever a dispatcher believes, of any version.
CREATE FUNCTION dispatch.require_failed() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ended text[];
BEGIN
    IF NEW.attempt = 0 THEN
        RETURN NEW;
    END IF;
    SELECT array_agg(status) INTO ended FROM dispatch.attempts JOIN dispatch.observations USING (key)
        WHERE reference_id = NEW.reference_id AND attempt = NEW.attempt - 1;
    IF ended IS NULL OR NOT 'failed' = ANY (ended) THEN
        RAISE EXCEPTION 'attempt % of % has not failed: no new key', NEW.attempt - 1, NEW.reference_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        SELECT FROM dispatch.attempts JOIN dispatch.observations USING (key)
        WHERE reference_id = NEW.reference_id AND status IN ('processed', 'reversed')
    ) THEN
        RAISE EXCEPTION 'money has moved for %: no new key', NEW.reference_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER new_key_only_after_failed BEFORE INSERT ON dispatch.attempts
    FOR EACH ROW EXECUTE FUNCTION dispatch.require_failed();

-- When to go on with a payment, and which instance does. All of it can be computed again from the tables above.
CREATE TABLE dispatch.jobs (
    reference_id text PRIMARY KEY REFERENCES ledger.instructions,
    state text NOT NULL DEFAULT 'instructed' CHECK (state IN (
        'instructed', 'calling', 'pending', 'paid', 'failed', 'reversed', 'rejected', 'cancelled', 'held'
    )),
    held_for text,
    -- By a person, who has looked at it: limits do not hold it again.
    released boolean NOT NULL DEFAULT false,
    next_at_ms bigint,
    calls integer NOT NULL DEFAULT 0,
    last_call_ms bigint NOT NULL DEFAULT 0,
    revision integer NOT NULL DEFAULT 0,
    lease_owner text,
    lease_until_ms bigint NOT NULL DEFAULT 0
);
CREATE INDEX jobs_due ON dispatch.jobs (next_at_ms) WHERE next_at_ms IS NOT NULL;
-- Metrics count what waits for a person; of many payments these are few.
CREATE INDEX jobs_for_a_person ON dispatch.jobs (state)
    WHERE state IN ('held', 'failed', 'rejected', 'cancelled', 'reversed');

CREATE TABLE dispatch.hours (
    hour_ms bigint PRIMARY KEY,
    paise bigint NOT NULL
);

CREATE TABLE dispatch.rider_days (
    worker_id text NOT NULL,
    local_day date NOT NULL,
    paise bigint NOT NULL,
    PRIMARY KEY (worker_id, local_day)
);

-- The newest says whether payments are stopped. A person closes it.
CREATE TABLE dispatch.breaker (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    is_open boolean NOT NULL,
    reason text NOT NULL,
    at_ms bigint NOT NULL
);

-- One bucket of tokens for all instances, as the moment at which the next call may go out.
CREATE TABLE dispatch.rate (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    next_free_us bigint NOT NULL DEFAULT 0
);
INSERT INTO dispatch.rate DEFAULT VALUES;

-- What does not fit: an edited instruction, a webhook of an unknown id or of another amount.
CREATE TABLE dispatch.anomalies (
    digest text PRIMARY KEY,
    kind text NOT NULL,
    reference_id text,
    detail text NOT NULL,
    seen_at_ms bigint NOT NULL
);

-- Records for Kafka, written with what they tell of, and published afterwards.
CREATE TABLE dispatch.outbox (
    outbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream text NOT NULL,
    key text NOT NULL,
    record text NOT NULL,
    published boolean NOT NULL DEFAULT false
);
CREATE INDEX outbox_unpublished ON dispatch.outbox (outbox_id) WHERE NOT published;

DO $$
DECLARE
    each text;
BEGIN
    FOREACH each IN ARRAY ARRAY['attempts', 'observations', 'breaker', 'anomalies'] LOOP
        EXECUTE format(
            'CREATE TRIGGER never_edited BEFORE UPDATE OR DELETE OR TRUNCATE ON dispatch.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_edit()', each
        );
        EXECUTE format('GRANT INSERT ON dispatch.%I TO monsoon_dispatcher', each);
    END LOOP;
    FOREACH each IN ARRAY ARRAY[
        'attempts', 'observations', 'breaker', 'anomalies', 'jobs', 'hours', 'rider_days', 'rate', 'outbox'
    ] LOOP
        EXECUTE format('ALTER TABLE dispatch.%I OWNER TO monsoon_owner', each);
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
        WHERE NOT tgisinternal AND relnamespace = 'dispatch'::regnamespace
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', each.place, each.tgname);
    END LOOP;
END
$$;

ALTER SCHEMA dispatch OWNER TO monsoon_owner;
GRANT USAGE ON SCHEMA dispatch TO monsoon_dispatcher, monsoon_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA dispatch TO monsoon_dispatcher;
GRANT SELECT ON dispatch.jobs, dispatch.breaker TO monsoon_reader;
GRANT SELECT (digest, kind, reference_id, seen_at_ms) ON dispatch.anomalies TO monsoon_reader;
GRANT INSERT ON dispatch.jobs, dispatch.hours, dispatch.rider_days TO monsoon_dispatcher;
GRANT INSERT (stream, key, record) ON dispatch.outbox TO monsoon_dispatcher;
GRANT UPDATE (state, held_for, released, next_at_ms, calls, last_call_ms, revision, lease_owner, lease_until_ms)
    ON dispatch.jobs TO monsoon_dispatcher;
GRANT UPDATE (paise) ON dispatch.hours, dispatch.rider_days TO monsoon_dispatcher;
GRANT UPDATE (next_free_us) ON dispatch.rate TO monsoon_dispatcher;
GRANT UPDATE (published) ON dispatch.outbox TO monsoon_dispatcher;
