"""Checks of the doctor that need no database: Python, extras, variables, secrets, files, the broker, mails."""

import asyncio
import stat
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from kombu import Connection

from app.cli.finding import Finding, fault, ok, warning
from app.private_files import open_to_others
from domain.mail import MailKind
from services.messaging.mail_templates import MailTemplates, UnusableTemplate
from services.messaging.smtp_notifier import MailNotSent, SmtpNotifier
from settings import Environment, Settings, SettingsError
from settings.origin import strangers
from settings.secret_key import FILE_NAME
from unitwork import masked

NEEDED: Final = (3, 11)
DRIVERS: Final = {"mysql": "asyncmy", "mariadb": "asyncmy", "oracle": "oracledb"}
"""Driver module of each database whose driver is an extra."""
EXTRAS: Final = {"mysql": "asyncmy", "oracle": "oracledb", "otel": "opentelemetry.sdk"}
"""A module that each extra installs."""
LOCAL: Final = {None, "", "localhost", "127.0.0.1", "::1"}
BROKER_WITHIN: Final = 3.0
NAMED: Final = 3
"""Maximum number of files that a finding names."""


def python() -> Finding:
    """Check the version of the interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < NEEDED:
        return fault("python", version, "install Python 3.11 or newer, and: make clean run PYTHON=python3.11")
    return ok("python", version)


def unreadable(error: SettingsError) -> Iterator[Finding]:
    """Report each setting that is invalid."""
    for problem in error.problems:
        yield fault("settings", f"{problem.variable}: {problem.reason}", f"correct {problem.variable}")


def variables() -> Iterator[Finding]:
    """Report variables that look like settings but aren't."""
    found = strangers()
    for stranger in found:
        fix = f"rename it to {stranger.meant}" if stranger.meant else f"unset {stranger.variable}"
        yield warning("variables", f"{stranger.variable} is no setting", fix)
    if not found:
        yield ok("variables", "every GATEHOUSE_ variable is a setting")


def extras(settings: Settings) -> Finding:
    """Check that the database's driver is installed, and list the installed extras."""
    there = [extra for extra, module in EXTRAS.items() if _installed(module)]
    needed = settings.database.url.get_backend_name()
    if needed in DRIVERS and not _installed(DRIVERS[needed]):
        extra = "oracle" if needed == "oracle" else "mysql"
        fix = f"in the checkout: pip install '.[{extra}]'"
        return fault("extras", f"the driver {DRIVERS[needed]} is not installed", fix)
    return ok("extras", f"installed: {', '.join(there) or 'none'}; none of the others is needed")


def database_url(settings: Settings) -> Finding:
    """Report the database and its driver; warn of an unverified connection, or an embedded database in production."""
    url = settings.database.url
    detail = f"{masked(url)} by {url.get_driver_name()}"
    if settings.database.embedded and settings.environment is Environment.PRODUCTION:
        return warning("url", f"{detail}: one machine's file, one writer", "set DATABASE_URL to a PostgreSQL database")
    if url.get_backend_name() == "postgresql" and url.host not in LOCAL and url.query.get("ssl") != "verify-full":
        fix = "add ?sslmode=verify-full to DATABASE_URL (docs/guides/operations.md)"
        return warning("url", f"{detail}: the server's certificate isn't checked", fix)
    return ok("url", detail)


def secrets(settings: Settings) -> Iterator[Finding]:
    """Check the signing key and the permissions of files that hold secrets."""
    files = [path for path in (Path(".env"), settings.var_dir / FILE_NAME) if path.is_file()]
    open_files = [path for path in files if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    for path in open_files:
        yield warning("secrets", f"{path} can be read by others", f"chmod 600 {path}")
    if settings.secret_key is None:
        yield ok("secrets", f"no SECRET_KEY is set; development keeps one in {settings.var_dir / FILE_NAME}")
    elif not open_files:
        yield ok("secrets", "SECRET_KEY is set, and no file with secrets is readable by others")


def var_files(settings: Settings) -> Finding:
    """Check the permissions of `VAR_DIR` and the files in it."""
    folder = settings.var_dir
    found = list(open_to_others(folder))
    if not found:
        return ok("files", f"what is in {folder} is for its owner alone")
    named = ", ".join(map(str, found[:NAMED])) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")
    return warning("files", f"others may look at {named}", f"chmod -R go= {folder}")


async def broker(settings: Settings) -> Finding:
    """Check that the configured broker answers."""
    url = settings.worker.broker
    if url is None:
        return ok("broker", f"none is configured: a file in {settings.var_dir}, for the processes of this machine")
    try:
        async with asyncio.timeout(BROKER_WITHIN + 1):
            address = await asyncio.to_thread(_reached, url)
    except Exception as error:  # noqa: BLE001 - each transport has errors of its own
        fix = "start it, or correct GATEHOUSE_WORKER__BROKER_URL; messages wait in the outbox meanwhile"
        return fault("broker", f"can't be reached ({type(error).__name__})", fix)
    return ok("broker", address)


async def mail(settings: Settings) -> Finding:
    """Check the templates of mails, and that the configured server takes our login."""
    options = settings.mail
    try:
        MailTemplates(options.templates, language=options.language).check(MailKind)
    except UnusableTemplate as error:
        return fault("mail", str(error), "correct the template; its mails are tried again, and parked in the end")
    if options.host is None:
        detail = f"no server is configured: mails are files in {settings.notifications}"
        if settings.environment is Environment.PRODUCTION:
            return warning("mail", detail, "set GATEHOUSE_MAIL__HOST")
        return ok("mail", detail)
    try:
        async with asyncio.timeout(2 * options.timeout):
            await SmtpNotifier(options, settings.notifications).check()
    except (MailNotSent, TimeoutError) as error:
        detail = str(error) or f"{options.host}:{options.port} doesn't answer in time"
        return fault("mail", detail, "start it, or correct GATEHOUSE_MAIL__…; mails wait in the outbox meanwhile")
    if settings.environment is Environment.PRODUCTION and options.pages.startswith("http://"):
        fix = "set GATEHOUSE_MAIL__PAGES to the https:// address of your pages"
        return warning("mail", f"links lead to {options.pages}, unencrypted", fix)
    return ok("mail", f"{options.host}:{options.port} takes our mails; links lead to {options.pages}")


def _reached(url: str) -> str:
    with Connection(url, connect_timeout=BROKER_WITHIN, transport_options={"socket_connect_timeout": 3}) as connection:
        connection.connect()
        return str(connection.as_uri(mask="***"))


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
