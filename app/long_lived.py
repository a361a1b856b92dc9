"""Garbage collection of long-lived objects: keeps imported modules out of the collector's passes."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def long_lived() -> Iterator[None]:
    """Freeze the existing objects (modules, routes, models, the container) for the length of the block: the collector
    skips them. A full collection of a server's 170,000 objects stops every request for some 80 ms
    (docs/guides/performance.md).
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def collected_later() -> Iterator[None]:
    """Disable the garbage collector for the length of the block. Imports create a hundred thousand objects and hardly
    any garbage (docs/decisions/0045).
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
