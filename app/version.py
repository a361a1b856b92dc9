"""version: what is installed here."""


def version() -> str:
    """Ours, as the package's metadata has it; `unknown` in a tree that was copied and never installed."""
    from importlib import metadata  # noqa: PLC0415 - only --version needs it, and each import delays every start

    try:
        return metadata.version("gatehouse")
    except metadata.PackageNotFoundError:
        return "unknown"
