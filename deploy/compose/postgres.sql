-- Run once, when the server's data directory is made: a role and a database for each service that has one, and nothing
-- between them. No service knows the superuser's password.
\set ON_ERROR_STOP on
\set auth_password `cat /run/secrets/postgres_auth_password`
\set tasks_password `cat /run/secrets/postgres_tasks_password`

CREATE ROLE auth LOGIN PASSWORD :'auth_password';
CREATE ROLE tasks LOGIN PASSWORD :'tasks_password';
CREATE DATABASE auth OWNER auth;
CREATE DATABASE tasks OWNER tasks;
REVOKE ALL ON DATABASE auth, tasks, postgres FROM PUBLIC;
