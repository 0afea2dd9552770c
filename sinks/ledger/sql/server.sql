-- What a user may know of a server before there is a ledger on it.
SELECT
    current_setting('server_version_num')::integer AS version_num,
    current_setting('server_version') AS version,
    current_user::text AS user_name,
    EXISTS (SELECT FROM pg_namespace WHERE nspname = 'ledger') AS is_made,
    EXISTS (SELECT FROM pg_roles WHERE rolname = 'monsoon_dispatcher' AND pg_has_role(oid, 'MEMBER')) AS may_dispatch
