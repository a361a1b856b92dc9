"""Restore: make a used PostgreSQL database a copy of its template again, faster than dropping and creating it
(docs/decisions/0062).

Tables are emptied and additional ones dropped; then the catalogue must equal the template's, object by object. A copy
has the same object ids as its template, so that altered or recreated objects are detected.
"""

import json
from collections.abc import Mapping, Sequence
from pkgutil import resolve_name
from typing import Any, Final

from unitwork.testing.servers.postgresql import apart, connect, url_of

# Object ids from 16384 on are user objects. Temporary tables end with their connection.
_TABLES: Final = """
SELECT c.oid::bigint AS oid, format('%I.%I', n.nspname, c.relname) AS name, c.relname = 'alembic_version' AS revision
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
"""
# Columns of pg_class that TRUNCATE, VACUUM and ANALYZE change are excluded.
_DIGEST: Final = r"""
SELECT md5(string_agg(part, E'\n' ORDER BY part)) FROM (
    SELECT 'class' || (to_jsonb(t) - array['relfilenode', 'relpages', 'reltuples', 'relallvisible', 'relallfrozen',
        'relfrozenxid', 'relminmxid'])::text AS part FROM pg_class t WHERE oid >= 16384 AND relpersistence <> 't'
    UNION ALL SELECT 'am' || t::text FROM pg_am t WHERE oid >= 16384
    UNION ALL SELECT 'attrdef' || t::text FROM pg_attrdef t WHERE adrelid >= 16384
    UNION ALL SELECT 'attribute' || t::text FROM pg_attribute t WHERE attrelid >= 16384
    UNION ALL SELECT 'cast' || t::text FROM pg_cast t WHERE oid >= 16384
    UNION ALL SELECT 'collation' || t::text FROM pg_collation t WHERE oid >= 16384
    UNION ALL SELECT 'constraint' || t::text FROM pg_constraint t WHERE oid >= 16384
    UNION ALL SELECT 'conversion' || t::text FROM pg_conversion t WHERE oid >= 16384
    UNION ALL SELECT 'description' || t::text FROM pg_description t WHERE objoid >= 16384
    UNION ALL SELECT 'enum' || t::text FROM pg_enum t WHERE enumtypid >= 16384
    UNION ALL SELECT 'event_trigger' || t::text FROM pg_event_trigger t WHERE oid >= 16384
    UNION ALL SELECT 'foreign_data_wrapper' || t::text FROM pg_foreign_data_wrapper t WHERE oid >= 16384
    UNION ALL SELECT 'foreign_server' || t::text FROM pg_foreign_server t WHERE oid >= 16384
    UNION ALL SELECT 'index' || t::text FROM pg_index t WHERE indexrelid >= 16384
    UNION ALL SELECT 'inherits' || t::text FROM pg_inherits t WHERE inhrelid >= 16384
    UNION ALL SELECT 'language' || t::text FROM pg_language t WHERE oid >= 16384
    UNION ALL SELECT 'opclass' || t::text FROM pg_opclass t WHERE oid >= 16384
    UNION ALL SELECT 'operator' || t::text FROM pg_operator t WHERE oid >= 16384
    UNION ALL SELECT 'opfamily' || t::text FROM pg_opfamily t WHERE oid >= 16384
    UNION ALL SELECT 'policy' || t::text FROM pg_policy t WHERE oid >= 16384
    UNION ALL SELECT 'proc' || t::text FROM pg_proc t WHERE oid >= 16384
    UNION ALL SELECT 'publication' || t::text FROM pg_publication t WHERE oid >= 16384
    UNION ALL SELECT 'publication_rel' || t::text FROM pg_publication_rel t WHERE oid >= 16384
    UNION ALL SELECT 'rewrite' || t::text FROM pg_rewrite t WHERE oid >= 16384
    UNION ALL SELECT 'sequence' || t::text FROM pg_sequence t WHERE seqrelid >= 16384
    UNION ALL SELECT 'statistic_ext' || t::text FROM pg_statistic_ext t WHERE oid >= 16384
    UNION ALL SELECT 'trigger' || t::text FROM pg_trigger t WHERE oid >= 16384
    UNION ALL SELECT 'ts_config' || t::text FROM pg_ts_config t WHERE oid >= 16384
    UNION ALL SELECT 'ts_dict' || t::text FROM pg_ts_dict t WHERE oid >= 16384
    UNION ALL SELECT 'ts_parser' || t::text FROM pg_ts_parser t WHERE oid >= 16384
    UNION ALL SELECT 'ts_template' || t::text FROM pg_ts_template t WHERE oid >= 16384
    UNION ALL SELECT 'type' || t::text FROM pg_type t WHERE oid >= 16384
    UNION ALL SELECT 'namespace' || t::text FROM pg_namespace t WHERE nspname !~ '^pg_(toast_)?temp'
    UNION ALL SELECT 'default_acl' || t::text FROM pg_default_acl t
    UNION ALL SELECT 'extension' || t::text FROM pg_extension t
    UNION ALL SELECT 'large object' || oid::text FROM pg_largeobject_metadata
    UNION ALL SELECT 'database' || concat_ws(' ', datdba, datconnlimit, datacl)
    FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 'setting' || concat_ws(' ', setrole, setconfig)
    FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = current_database()
    UNION ALL SELECT 'revision' || version_num FROM alembic_version
) AS parts
"""
_END_OTHERS: Final = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_LEFT: Final = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid())
OR EXISTS (SELECT FROM pg_prepared_xacts WHERE database = current_database())
"""
_RESET_SEQUENCES: Final = """
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
FROM pg_sequences WHERE last_value IS NOT NULL
"""


def fingerprint(template: str) -> str:
    """Return the fingerprint for `restore`; empty if copies of the template can't be restored, because its migrations
    store rows or there is no revision.
    """

    async def taken() -> str:
        connection = await connect(url_of(template))
        try:
            tables = await connection.fetch(_TABLES)
            if not any(table["revision"] for table in tables) or await _filled(connection, tables):
                return ""
            return json.dumps({"tables": [t["oid"] for t in tables], "digest": await connection.fetchval(_DIGEST)})
        finally:
            await connection.close()

    return apart(taken)


def restore(name: str, expected: str) -> bool:
    """Restore the database to a copy of the template with this fingerprint. False if it can't be restored and must be
    dropped.
    """
    if not expected:
        return False

    async def restored() -> bool:
        try:
            connection = await connect(url_of(name))
            try:
                return await _restore(connection, json.loads(expected))
            finally:
                await connection.close()
        except (OSError, resolve_name("asyncpg:PostgresError"), resolve_name("asyncpg:InterfaceError")):
            return False

    return apart(restored)


async def _restore(connection: Any, expected: Mapping[str, Any]) -> bool:
    await connection.execute(_END_OTHERS)
    if await connection.fetchval(_LEFT):
        return False
    tables = await connection.fetch(_TABLES)
    kept = [table for table in tables if table["oid"] in expected["tables"]]
    if foreign := [table["name"] for table in tables if table not in kept]:
        await connection.execute(f"DROP TABLE {', '.join(foreign)} CASCADE")
    if filled := await _filled(connection, kept):
        await connection.execute(f"TRUNCATE {', '.join(filled)} RESTART IDENTITY CASCADE")
    await connection.execute(_RESET_SEQUENCES)
    return bool(await connection.fetchval(_DIGEST) == expected["digest"])


async def _filled(connection: Any, tables: Sequence[Any]) -> list[str]:
    """Return the tables that hold rows, except the revision's."""
    names = [table["name"] for table in tables if not table["revision"]]
    if not names:
        return []
    some = ", ".join(f"EXISTS (SELECT 1 FROM {name})" for name in names)  # noqa: S608 - quoted by _TABLES' %I
    return [name for name, found in zip(names, await connection.fetchrow(f"SELECT {some}"), strict=True) if found]
