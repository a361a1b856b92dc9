"""Menu: the commands by name, each imported when it is run. `gatehouse --help` imports none of them."""

from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group_from_info
from typer.models import TyperInfo

from app.long_lived import collected_later


class Entry(NamedTuple):
    """A line of the menu: the module whose `application` is the command, and its summary in the help."""

    module: str
    help: str


ENTRIES: Final = {
    "serve": Entry("app.cli.serve", "Serve the HTTP API until interrupted or terminated."),
    "worker": Entry(
        "app.cli.worker", "Run tasks until interrupted or terminated; those that are under way then end first."
    ),
    "users": Entry("app.cli.users", "Accounts."),
    "tokens": Entry("app.cli.tokens", "Access tokens, and the logins of accounts."),
    "keys": Entry("app.cli.keys", "Keys of programs."),
    "outbox": Entry("app.cli.outbox", "Messages that follow a commit."),
    "jobs": Entry("app.cli.jobs", "Work that continues after its request was answered."),
    "audit": Entry("app.cli.audit", "The audit trail."),
    "sessions": Entry("app.cli.sessions", "Sessions of a running server."),
    "db": Entry("app.cli.db", "The database schema."),
    "doctor": Entry("app.cli.doctor", "Look for what is wrong with the set-up, and say how to mend it."),
    "config": Entry("app.cli.config", "Settings."),
    "demo": Entry("app.cli.demo", "Demonstration."),
}
"""The commands, in the order of the help."""


class Menu(TyperGroup):
    """Group of commands that lists `ENTRIES`, and imports the chosen one."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in ENTRIES.items():
            self.add_command(TyperCommand(name=name, help=entry.help, callback=None, rich_markup_mode=None))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Resolve as Typer does, and replace the line of the menu by its command."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else self._command(name), rest

    def _command(self, name: str) -> Any:
        with collected_later():
            application: typer.Typer = import_module(ENTRIES[name].module).application
        group = get_group_from_info(
            TyperInfo(application), pretty_exceptions_short=False, rich_markup_mode=None, suggest_commands=True
        )
        group.name = name
        # A module whose only command has the entry's name becomes that command, not a group.
        return group.commands.get(name, group)
