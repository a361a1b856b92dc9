"""DatabaseError: the root of the tree that is drawn in `database.errors`."""


class DatabaseError(Exception):
    """Root of every error that `database` raises."""
