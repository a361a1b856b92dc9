"""Sessions: what is asked of one, and what it refuses."""
