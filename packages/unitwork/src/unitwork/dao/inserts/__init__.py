"""Inserts: store one new row, many, many by COPY, or upsert."""
