"""`python -m app`: the same as the installed command `gatehouse`."""

import sys

from app.cli.program import program

if __name__ == "__main__":
    sys.exit(program())
