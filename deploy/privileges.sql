-- As an administrator, in the service's database, before the first `gatehouse db upgrade`; again at any time after one.
-- The service adds to the audit trail and reads it, and has nothing to do with alembic_version. Migration 0008 takes
-- what the default privileges give it of both.
REVOKE ALL ON DATABASE gatehouse FROM PUBLIC;
GRANT CONNECT ON DATABASE gatehouse TO gatehouse;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER SCHEMA public OWNER TO gatehouse_owner;
GRANT USAGE ON SCHEMA public TO gatehouse;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO gatehouse;
ALTER DEFAULT PRIVILEGES FOR ROLE gatehouse_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO gatehouse;
ALTER DEFAULT PRIVILEGES FOR ROLE gatehouse_owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO gatehouse;
DO $$ BEGIN
    IF to_regclass('public.schema_revision') IS NOT NULL THEN
        REVOKE ALL ON public.audit_entries, public.alembic_version, public.schema_revision FROM gatehouse;
        GRANT SELECT, INSERT ON public.audit_entries TO gatehouse;
        GRANT SELECT ON public.schema_revision TO gatehouse;
    END IF;
END $$;
