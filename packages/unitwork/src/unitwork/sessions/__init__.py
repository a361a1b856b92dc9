"""Sessions: the guarded sessions that blocks provide, and how their statements are sent."""
