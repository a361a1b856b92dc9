"""New rows: one, many, by COPY, or over those that are there."""
