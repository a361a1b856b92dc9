"""program: the command line as a process of its own."""

import gc

from app.cli.application import main


def program() -> int:
    """Run `sys.argv`'s command and return its exit code, for `sys.exit`. Objects that are left then are not collected
    before the process ends (docs/decisions/0045).
    """
    code = main()
    gc.freeze()
    return code
