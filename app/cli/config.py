"""`gatehouse config`: shows the settings in force."""

from typing import Annotated, Any

import typer

from app.cli.command import JsonFlag
from app.cli.output import print_json, print_table, say
from containers import Container
from settings.origin import DEFAULT, origins, strangers

application = typer.Typer(no_args_is_help=True, help="Settings.")


@application.callback()
def group() -> None:
    """Settings."""


@application.command("show")
def show(
    context: typer.Context,
    sources: Annotated[bool, typer.Option("--sources", help="Say where each one comes from, too.")] = False,
    json: JsonFlag = False,
) -> None:
    """Show every setting in force. Secrets are masked."""
    container = Container() if context.obj is None else context.obj
    values = container.settings().model_dump(mode="json")
    if sources:
        _print_sources(values, json)
    elif json:
        print_json(values)
    else:
        print_table(
            ("setting", "value"), [{"setting": name, "value": value} for name, value in _flat(values, "GATEHOUSE_")]
        )


def _print_sources(values: dict[str, Any], json: bool) -> None:
    found = origins()
    lines = [
        {"setting": name, "value": value, "source": found.get(name, DEFAULT)}
        for name, value in _flat(values, "GATEHOUSE_")
    ]
    print_json(lines) if json else print_table(("setting", "value", "source"), lines)
    for stranger in strangers():
        say(f"warning: {stranger}")


def _flat(values: dict[str, Any], prefix: str) -> list[tuple[str, Any]]:
    lines: list[tuple[str, Any]] = []
    for name, value in values.items():
        lines += (
            _flat(value, f"{prefix}{name.upper()}__") if isinstance(value, dict) else [(prefix + name.upper(), value)]
        )
    return lines
