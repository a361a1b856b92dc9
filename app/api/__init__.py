"""HTTP: one service call behind each endpoint, problem documents for everything that goes wrong.

Here: routes, schemas, authentication, authorisation, the table of errors. Not here: rules, transactions, SQL.
"""

from app.api.application import create_app

__all__ = ["create_app"]
