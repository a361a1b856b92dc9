"""What a server has when it has started, it keeps: the garbage collector needn't look at it again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def long_lived() -> Iterator[None]:
    """For the length of the block the collector passes over what is there now: modules, routes, models, the container,
    hundreds of thousands of objects. Looking at them cost a request in a few hundred 50 ms and more.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
