"""Alembic's migrations. Reads the models' metadata and the settings, nothing else."""

from pathlib import Path
from typing import Final

LOCATION: Final = Path(__file__).parent
"""The folder Alembic reads."""
REVISION_VIEW: Final = "schema_revision"
"""View that shows the revision to roles without rights on Alembic's own table (migration 0008)."""
