-- As an administrator, once for each cluster: psql -v owner_password=… -v password=… -f roles.sql
CREATE ROLE gatehouse_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'owner_password';
CREATE ROLE gatehouse LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
ALTER ROLE gatehouse SET lock_timeout = '10s';
ALTER ROLE gatehouse SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE gatehouse SET client_connection_check_interval = '5s';
CREATE DATABASE gatehouse OWNER gatehouse_owner;
