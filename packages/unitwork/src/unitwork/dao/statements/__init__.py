"""Statements: SQLAlchemy statements built from columns, conditions and order, cached by shape."""
