"""Data access objects: reads and writes of one model."""
