"""GivenSettings: settings as a test gives them, whatever the environment of who runs it says."""

from pydantic_settings import BaseSettings, NestedSecretsSettingsSource, PydanticBaseSettingsSource

from settings import Settings


class GivenSettings(Settings):
    """What isn't given is the default: no variable, `.env` or secret of the developer's gets into a test."""

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
