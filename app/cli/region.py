"""Region: the option that sets the region of phone numbers without a country code."""

from typing import Annotated

import typer

from domain.phone_number import REGIONS


def _region(value: str | None) -> str | None:
    if value is not None and value.upper() not in REGIONS:
        msg = f"'{value}' is no ISO 3166 country code with phone numbers, such as US"
        raise typer.BadParameter(msg)
    return None if value is None else value.upper()


Region = Annotated[
    str | None, typer.Option(callback=_region, help="Country of phone numbers without country code: US, DE, …")
]
