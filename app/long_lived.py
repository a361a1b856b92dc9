"""What a process has imported, it keeps: the garbage collector needn't look at it again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def long_lived() -> Iterator[None]:
    """For the length of the block the collector passes over what is there now: modules, routes, models, the container.
    A full collection of a server's 170,000 objects stops every request for some 80 ms (docs/guides/performance.md).
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def collected_later() -> Iterator[None]:
    """For the length of the block nothing is collected: imports make a hundred thousand objects and hardly any
    garbage (docs/decisions/0045).
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
