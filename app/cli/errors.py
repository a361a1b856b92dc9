"""Errors that only the command line raises."""


class Terminated(Exception):
    """SIGTERM ended the command."""
