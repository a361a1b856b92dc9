"""Oracle through oracledb: as far as it differs from what SQLAlchemy does by itself."""

from unitwork.backends.backend import Backend


class Oracle(Backend):
    names = frozenset({"oracle"})
    extra = "oracle"
    probe = "SELECT 1 FROM dual"
