"""HTTP: one service call behind each endpoint, a problem document for every error.

Here: routes, schemas, authentication, authorisation, the table of errors. Not here: rules, transactions, SQL.
"""

from app.api.application import create_app

__all__ = ["create_app"]
