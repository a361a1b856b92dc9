"""MailTemplates: the texts of mails, as files by language that a team can replace.

`LANGUAGE/NAME.txt` begins with the line `Subject: …` and an empty line; `LANGUAGE/NAME.html` beside it is optional.
Both have placeholders, `$link`; in HTML their values are escaped. A folder that has the text of a mail decides about
its HTML too.

    UnusableTemplate    a template lacks its subject, or has a placeholder that its mail doesn't know
"""

import html
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Final

from domain.errors import DomainError
from domain.locale import languages_of

SUBJECT: Final = "Subject: "
PLACEHOLDERS: Final = ("address", "expires", "link", "name", "secret")
"""Placeholders of a template. `link` and `secret` are empty in a mail that carries no secret."""
OURS: Final = "messaging/templates"


class UnusableTemplate(DomainError):
    """A template can't be used; `name` is its place in the folder, `reason` the fault."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(name, reason)

    def __str__(self) -> str:
        return f"the mail template {self.name} {self.reason}"


@dataclass(frozen=True)
class MailText:
    """A mail's subject and body; `html` is None for a mail in plain text only."""

    subject: str
    text: str
    html: str | None


class MailTemplates:
    """Templates of a team's folder before those of the package."""

    def __init__(self, folder: Path | None = None, *, language: str = "en") -> None:
        self._folder = folder
        self._language = language

    def text(self, name: str, locale: str | None, values: Mapping[str, str]) -> MailText:
        """Fill in the mail's template in the first language of `locale`, else of the default, that has one. Raises
        `UnusableTemplate`.
        """
        for place, language in self._places(locale):
            text = place.joinpath(f"{name}.txt")
            if not text.is_file():
                continue
            head, _, body = text.read_text(encoding="utf-8").partition("\n")
            where = f"{language}/{name}.txt"
            if not head.startswith(SUBJECT) or not head.removeprefix(SUBJECT).strip():
                raise UnusableTemplate(where, f"has no subject; begin it with a line `{SUBJECT}…`")
            subject = _filled(head.removeprefix(SUBJECT), where, values)
            page = place.joinpath(f"{name}.html")
            filled = None
            if page.is_file():
                escaped = {key: html.escape(value) for key, value in values.items()}
                filled = _filled(page.read_text(encoding="utf-8"), f"{language}/{name}.html", escaped)
            return MailText(" ".join(subject.split()), _filled(body, where, values).strip() + "\n", filled)
        raise UnusableTemplate(f"{self._language}/{name}.txt", "doesn't exist; add it to the folder of templates")

    def check(self, names: Iterable[str]) -> None:
        """Fill in the templates of these mails in every language of the team's folder. Raises `UnusableTemplate` for
        the first that can't be used.
        """
        folder = self._folder
        found = [] if folder is None else sorted(path.name for path in folder.iterdir() if path.is_dir())
        for name in names:
            for language in (self._language, *found):
                self.text(name, language, dict.fromkeys(PLACEHOLDERS, ""))

    def _places(self, locale: str | None) -> Iterator[tuple[Traversable, str]]:
        """Yield the folders in which a template may be, the best first."""
        ours = files("services").joinpath(OURS)
        for language in dict.fromkeys((*languages_of(locale), *languages_of(self._language), "en")):
            if self._folder is not None:
                yield self._folder / language, language
            yield ours.joinpath(language), language


def _filled(text: str, where: str, values: Mapping[str, str]) -> str:
    template = Template(text)
    if not template.is_valid():
        raise UnusableTemplate(where, "has a `$` that begins no placeholder; write `$$` for the sign itself")
    unknown = sorted(set(template.get_identifiers()) - values.keys())
    if unknown:
        known = ", ".join(f"${name}" for name in sorted(values))
        raise UnusableTemplate(where, f"has ${unknown[0]}, which is no placeholder; known are {known}")
    return template.substitute(values)
