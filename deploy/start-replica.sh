#!/bin/sh
# A streaming replica of the primary: copied on the first start, then followed.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    PGPASSWORD="$(cat /run/secrets/replication_password)" pg_basebackup --host primary --username replication \
        --pgdata "$PGDATA" --write-recovery-conf --wal-method stream --checkpoint fast
    chmod 0700 "$PGDATA"
fi
exec postgres -c hot_standby=on -c hot_standby_feedback=on
