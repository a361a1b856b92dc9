"""The section `EMAIL__…`: non-public domains whose e-mail addresses are accepted."""

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic_settings import NoDecode

_DOMAIN: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*")


def _split(value: Any) -> Any:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _domain(text: str) -> str:
    domain = text.strip(".").lower()
    if not _DOMAIN.fullmatch(domain):
        msg = "a private domain is a name like local or corp.test: no @, no *, and other scripts in Punycode (xn--…)"
        raise ValueError(msg)
    return domain


class EmailSettings(BaseModel):
    """Settings of e-mail addresses. Lists are separated by commas."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    private_domains: Annotated[
        tuple[Annotated[str, AfterValidator(_domain)], ...], NoDecode, BeforeValidator(_split)
    ] = ()
    """Non-public domains (`local,localhost,corp.test`) whose addresses are accepted, with their subdomains."""
