"""The embedded database's file, which only the commands that create a schema may create."""

from pathlib import Path
from urllib.parse import unquote

from containers import Container
from settings import Settings


class NoDatabaseFile(Exception):
    """The SQLite file in force isn't there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(path)

    @property
    def fact(self) -> str:
        """Return the fact alone, without the fix."""
        return f"there is no database file {self.path}"

    def __str__(self) -> str:
        return f"{self.fact}. Make it with: gatehouse db upgrade, or name another with DATABASE_URL=sqlite:///PATH."


def require_file(container: Container) -> None:
    """Raise `NoDatabaseFile` if the container's SQLite file is missing: opening it would create it empty."""
    if container.engine.last_overriding is not None or container.session_provider.last_overriding is not None:
        return  # an overridden provider chooses its own database
    path = database_file(container.settings())
    if path is not None and not path.exists():
        raise NoDatabaseFile(path)


def database_file(settings: Settings) -> Path | None:
    """Return the embedded database's file; None for a database server."""
    name = settings.database.url.database
    if not settings.database.embedded or not name:
        return None
    return Path(unquote(name.removeprefix("file:")) if name.startswith("file:") else name).absolute()
