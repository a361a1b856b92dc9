"""What only the command line can end by."""


class Terminated(Exception):
    """SIGTERM ended the command."""
