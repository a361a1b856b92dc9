#!/bin/sh
# Run by the PostgreSQL image on an empty data directory: the roles and the database of the service.
set -eu
here=/deploy
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set owner_password="$(cat /run/secrets/owner_password)" --set password="$(cat /run/secrets/password)" \
    --file "$here/roles.sql"
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname gatehouse --file "$here/privileges.sql"
