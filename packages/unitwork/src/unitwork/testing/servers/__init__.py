"""Servers: database servers of a test run, and copies of a migrated database."""
