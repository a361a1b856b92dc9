#!/bin/sh
# PgBouncer before the primary, in transaction mode. Its password is read from the secret, not from an argument.
set -eu
umask 077
printf '"gatehouse" "%s"\n' "$(cat /run/secrets/password)" > /tmp/users
cat > /tmp/pgbouncer.ini <<'INI'
[databases]
gatehouse = host=primary port=5432 dbname=gatehouse
[pgbouncer]
listen_addr = *
listen_port = 6432
unix_socket_dir =
auth_type = scram-sha-256
auth_file = /tmp/users
pool_mode = transaction
max_client_conn = 500
default_pool_size = 20
INI
exec pgbouncer /tmp/pgbouncer.ini
