"""Ids: snowflake ids that are unique across processes."""
