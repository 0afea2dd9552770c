-- For a new database server, before `monsoon ledger migrate`: the login of the dispatcher, with no right but its role's.
-- psql reads its password from the environment.
\getenv dispatcher_password DISPATCHER_PASSWORD
CREATE ROLE monsoon_dispatcher NOLOGIN;
CREATE ROLE dispatcher LOGIN PASSWORD :'dispatcher_password' IN ROLE monsoon_dispatcher;
