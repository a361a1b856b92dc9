"""GivenSettings: settings from a test's arguments alone, independent of the environment."""

from pydantic_settings import BaseSettings, NestedSecretsSettingsSource, PydanticBaseSettingsSource

from settings import Settings


class GivenSettings(Settings):
    """Settings that read neither the environment nor `.env` nor a secrets directory: the default unless given."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The second reads no folder; without one pydantic-settings warns that it is missing.
        return init_settings, NestedSecretsSettingsSource(file_secret_settings, secrets_dir=[])
