"""Alembic's migrations. Reads the models' metadata and the settings, nothing else."""

from pathlib import Path
from typing import Final

LOCATION: Final = Path(__file__).parent
"""The folder Alembic reads."""
REVISION_VIEW: Final = "schema_revision"
"""Where roles read the revision that have no business in Alembic's own table (migration 0008)."""
