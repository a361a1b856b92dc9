"""Rows: what a model's row is without a session: its columns, instances made from rows, values of new rows."""
