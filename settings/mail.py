"""The section `MAIL__…`: the SMTP server that mails are given to, their sender, and their templates."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from settings.duration import Duration

_SENDER: Final = re.compile(
    r"(?:\"?([^\"<>\r\n\0]*?)\"?\s*<([\x21-\x7e]+@[A-Za-z0-9.-]+)>|([\x21-\x7e]+@[A-Za-z0-9.-]+))"
)


def _sender(text: str) -> str:
    if not _SENDER.fullmatch(text.strip()):
        msg = "the sender is an address, with a name if you like: Example <no-reply@example.com>"
        raise ValueError(msg)
    return text.strip()


def _pages(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        msg = "the pages are a URL without query and fragment: https://app.example.com/account"
        raise ValueError(msg)
    return text.rstrip("/")


class MailSettings(BaseModel):
    """Settings of mails. Without `host` they are files in `VAR_DIR`, for development."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)

    host: str | None = Field(default=None, min_length=1, max_length=253)
    """SMTP server to which mails are given. Unset: each mail becomes a file in `VAR_DIR/notifications`."""
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`starttls` encrypts before anything else is said, and refuses a server that can't; `tls` connects encrypted (port
    465); `none` is for a server on this machine. Certificates are verified.
    """
    ca_file: Path | None = None
    """File (PEM) of the authorities that may have signed the server's certificate; unset: the system's."""
    username: str | None = Field(default=None, min_length=1)
    password: SecretStr | None = None
    sender: Annotated[str, AfterValidator(_sender)] = "Gatehouse <no-reply@localhost>"
    """Address in From, with a name if you like."""
    timeout: float = Field(default=10.0, gt=0, le=120)
    """Maximum seconds of each step of a mail: connecting, and each answer of the server."""
    pages: Annotated[str, AfterValidator(_pages)] = "http://localhost:8000"
    """URL of the pages that mails link to: a link is `PAGES/verify#SECRET`, `PAGES/recover#…` or `PAGES/invite#…`."""
    templates: Path | None = None
    """Folder whose templates replace ours, as `LANGUAGE/NAME.txt` and `LANGUAGE/NAME.html`."""
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")
    """Language of mails to accounts without a locale, or whose language has no template."""

    verify_lifetime: Duration = Field(default=timedelta(hours=24), gt=timedelta(0), le=timedelta(days=30))
    """Time for which a mail's link proves an address."""
    recover_lifetime: Duration = Field(default=timedelta(minutes=30), gt=timedelta(0), le=timedelta(days=1))
    """Time for which a mail's link lets its reader set a new password."""
    invite_lifetime: Duration = Field(default=timedelta(days=7), gt=timedelta(0), le=timedelta(days=90))
    """Time for which an invitation can be accepted."""

    @property
    def sender_name(self) -> str:
        """The sender's name; empty without one."""
        return self._sender_parts()[0]

    @property
    def sender_address(self) -> str:
        """The sender's address alone."""
        return self._sender_parts()[1]

    def _sender_parts(self) -> tuple[str, str]:
        match = _SENDER.fullmatch(self.sender)
        name, named, alone = match.groups() if match else (None, None, None)
        return name or "", named or alone or ""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.username is None) is not (self.password is None):
            msg = "USERNAME and PASSWORD belong together; give both or neither"
            raise ValueError(msg)
        if self.password is not None and self.security == "none":
            msg = "PASSWORD would be sent unencrypted; set SECURITY to starttls or tls"
            raise ValueError(msg)
        if self.templates is not None and not self.templates.is_dir():
            msg = "TEMPLATES is no folder; make it, or unset it"
            raise ValueError(msg)
        if self.ca_file is not None and not self.ca_file.is_file():
            msg = "CA_FILE is no file; give the authorities' certificates, or unset it"
            raise ValueError(msg)
        return self
