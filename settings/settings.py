"""Settings: the configuration of the system, in one typed object."""

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableValue

from settings.accounts import AccountSettings
from settings.background import BackgroundSettings
from settings.csv import CsvSettings
from settings.database import DatabaseSettings
from settings.email import EmailSettings
from settings.errors import Problem, SettingsError
from settings.http import HttpSettings
from settings.mail import MailSettings
from settings.outbox import OutboxSettings
from settings.passwords import PasswordSettings
from settings.rate_limits import RateLimitSettings
from settings.redis_url import accepted_redis_url
from settings.tokens import TokenSettings
from settings.worker import WorkerSettings

PREFIX: Final = "GATEHOUSE_"
SHORT_NAMES: Final = {
    "database_url": "gatehouse_database__url",
    "port": "gatehouse_port",
    "log_level": "gatehouse_log_level",
    "redis_url": "gatehouse_redis_url",
}
"""Names that platforms set, and the long name of each. Within one source the long name wins."""


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


class Settings(BaseSettings):
    """All settings. Sources, first wins: arguments (flags), environment, `.env`, secrets directory, default.

    The secrets directory is `GATEHOUSE_SECRETS_DIR`, else `/run/secrets` if it exists; a file is named like the
    variable. Raises `SettingsError`, naming each unusable variable and never its value.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        nested_model_default_partial_update=True,
        secrets_dir_missing="ok",
        use_attribute_docstrings=True,
    )

    environment: Environment = Environment.DEVELOPMENT
    """`production` disables the docs, refuses debug, and requires a `SECRET_KEY`."""
    debug: bool = False
    """Log at DEBUG, including each statement's text (never its values)."""
    var_dir: Path = Path("var")
    """Folder of this machine's own files: the embedded database, the development key."""
    secret_key: SecretStr | None = Field(default=None)
    """Key that signs cursors; at least 32 characters. In development it may be missing: one is created in `var_dir`."""
    host: str = "127.0.0.1"
    """Address on which the server listens."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port on which the server listens; 0 selects a free one."""
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$")
    log_format: LogFormat = LogFormat.CONSOLE
    node_id: int | None = Field(default=None, ge=0, lt=4096)
    """Node of the ids that this process makes; it must be unique among processes on one database. Unset: each container
    leases one from the database.
    """
    max_body_bytes: int = Field(default=32_768, ge=1024)
    """Maximum size of a request body in bytes, except of an imported file; a larger one is answered 413."""
    redis_url: Annotated[SecretStr, AfterValidator(accepted_redis_url)] | None = None
    """Redis in which processes share rate limit counters: `redis://` or `rediss://`. Unset: each process counts in its
    own memory.
    """
    metrics_dir: Path | None = None
    """Folder in which processes that serve one port share their metrics, so that any of them can answer for all; the
    process that starts them empties it.
    """
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    tokens: TokenSettings = Field(default_factory=TokenSettings)
    outbox: OutboxSettings = Field(default_factory=OutboxSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    background: BackgroundSettings = Field(default_factory=BackgroundSettings)
    csv: CsvSettings = Field(default_factory=CsvSettings)
    accounts: AccountSettings = Field(default_factory=AccountSettings)
    mail: MailSettings = Field(default_factory=MailSettings)
    email: EmailSettings = Field(default_factory=EmailSettings)
    passwords: PasswordSettings = Field(default_factory=PasswordSettings)
    rate_limits: RateLimitSettings = Field(default_factory=RateLimitSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError.from_validation(error, prefix=PREFIX) from None
        except UnreadableValue as error:
            section = re.search(r'field "(\w+)"', str(error))
            variable = PREFIX + (section[1].upper() if section else "SECRETS_DIR")
            raise SettingsError([Problem(variable, str(error))]) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = NestedSecretsSettingsSource(
            file_secret_settings,
            secrets_dir=os.environ.get(f"{PREFIX}SECRETS_DIR", "/run/secrets"),
            env_prefix=PREFIX,
        )
        for source in (env_settings, dotenv_settings, files):
            if isinstance(source, EnvSettingsSource):
                source.env_vars = _ours(source.env_vars)
        return init_settings, env_settings, dotenv_settings, files

    @property
    def notifications(self) -> Path:
        """The folder of the notifier that writes files."""
        return self.var_dir / "notifications"

    @model_validator(mode="after")
    def _limits_of_topics_in_order(self) -> Self:
        for name, topic in self.outbox.topics.items():
            soft = topic.soft_time_limit or self.worker.soft_time_limit
            hard = topic.hard_time_limit or self.worker.hard_time_limit
            if not soft < hard < self.worker.visibility_timeout:
                msg = (
                    f"OUTBOX__TOPICS: soft_time_limit of {name} must be below its hard_time_limit, and that below "
                    "WORKER__VISIBILITY_TIMEOUT; give them in order"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="before")
    @classmethod
    def _upper_log_level(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("log_level"), str):
            return values | {"log_level": values["log_level"].upper()}
        return values

    @model_validator(mode="after")
    def _fit_for_production(self) -> Self:
        key = self.secret_key
        if key is not None and len(key.get_secret_value()) < 32:
            msg = "SECRET_KEY is shorter than 32 characters; make one with: openssl rand -hex 32"
            raise ValueError(msg)
        if self.environment is Environment.PRODUCTION:
            if key is None:
                msg = "SECRET_KEY is not set, and production makes none; make one with: openssl rand -hex 32"
                raise ValueError(msg)
            if self.debug:
                msg = "DEBUG is on; production refuses it: unset DEBUG, or set ENVIRONMENT=development"
                raise ValueError(msg)
        return self


def _ours(variables: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Return the variables with our prefix, and the long name of each short one without a long one.

    Other variables are ignored: a `.env` may be shared with other programs.
    """
    return {
        **{long: variables[short] for short, long in SHORT_NAMES.items() if variables.get(short)},
        **{
            name: value
            for name, value in variables.items()
            if name.startswith(PREFIX.lower()) and (value or name not in SHORT_NAMES.values())
        },
    }
