"""version: what is installed here."""


def version() -> str:
    """Ours, as the package's metadata has it; `unknown` in a tree that was copied and never installed."""
    from importlib import metadata  # noqa: PLC0415 - slow to import, and rarely asked

    try:
        return metadata.version("gatehouse")
    except metadata.PackageNotFoundError:
        return "unknown"
