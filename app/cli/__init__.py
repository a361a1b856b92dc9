"""Commands: each opens the container, acts as SYSTEM, calls one service and prints the result.

Data goes to stdout, logs and progress to stderr. Exit codes are in `app.cli.exit_codes`. Never imports `app.api`:
`serve` names it to the server by its import string.
"""

from app.cli.application import main

__all__ = ["main"]
