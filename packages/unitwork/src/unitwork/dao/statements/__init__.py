"""SQLAlchemy statements made of columns, conditions and order, kept by their shape."""
