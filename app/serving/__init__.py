"""The server's sockets: what one connection and all of them together may take of memory and time.

Imports no other way in: `app.cli` serves with it, and `app.api` shares its limits.
"""
