"""Oracle through oracledb: its differences from SQLAlchemy's defaults."""

from unitwork.backends.backend import Backend


class Oracle(Backend):
    names = frozenset({"oracle"})
    extra = "oracle"
    probe = "SELECT 1 FROM dual"
