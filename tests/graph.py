"""The object graph as a Mermaid diagram, drawn from the container itself.

Renew the page with: .venv/bin/python -m tests.graph > docs/graph.md
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from dependency_injector import providers

from containers import Container

OUTSIDE: Final = "outside"
"""Where what comes from no room of ours is drawn."""
ROOMS: Final = (OUTSIDE, "settings", "unitwork", "domain", "repositories", "services")

PAGE: Final = """\
# The object graph

What [containers.py](../containers.py) builds, drawn from the container itself. An arrow goes from an object to the
one that is given it; its label is the attribute that is handed over in the object's place. A dashed arrow hands over
the provider, so that the receiver asks for the object when it needs it.

```mermaid
{diagram}
```

This page is written by a program. Renew it with:

```sh
.venv/bin/python -m tests.graph > docs/graph.md
```
"""


class Arrow(NamedTuple):
    """`source` is given to `target`; `attribute` is what of it, `delegated` whether as a provider."""

    source: str
    target: str
    attribute: str
    delegated: bool

    def __str__(self) -> str:
        label = f'|"{self.attribute}"|' if self.attribute else ""
        return f"{self.source} {'-.->' if self.delegated else '-->'}{label} {self.target}"


def mermaid() -> str:
    """The diagram: a box for each room, a node for each provider, in the order the page declares them."""
    graph: Mapping[str, Any] = Container.providers
    lines = ["flowchart TD"]
    found = {_room(provider) for provider in graph.values()}
    for room in [room for room in ROOMS if room in found]:
        lines.append(f"    subgraph {room}_room[{room}]")
        lines += [
            f'        {name}["{name}: {type(provider).__name__}"]'
            for name, provider in graph.items()
            if _room(provider) == room
        ]
        lines.append("    end")
    names = {id(provider): name for name, provider in graph.items()}
    for name, provider in graph.items():
        arrows = (
            Arrow(names[id(source)], name, attribute, delegated)
            for given in _given(provider)
            for source, attribute, delegated in _sources(given, names)
        )
        lines += [f"    {arrow}" for arrow in dict.fromkeys(arrows)]
    return "\n".join(lines)


def page() -> str:
    """docs/graph.md as it should be."""
    return PAGE.format(diagram=mermaid())


def _room(provider: Any) -> str:
    room = str(getattr(getattr(provider, "provides", None), "__module__", OUTSIDE)).partition(".")[0]
    return room if room in ROOMS else OUTSIDE


def _given(provider: Any) -> Iterator[Any]:
    """What the provider hands to what it makes: arguments, and attributes set afterwards."""
    yield from getattr(provider, "args", None) or ()
    for given in ("kwargs", "attributes"):
        yield from (getattr(provider, given, None) or {}).values()


def _sources(
    given: Any, names: Mapping[int, str], attribute: str = "", *, delegated: bool = False
) -> Iterator[tuple[Any, str, bool]]:
    """The container's own providers behind one argument, through attributes, delegates and unnamed providers."""
    if not isinstance(given, providers.Provider):
        return
    if id(given) in names:
        yield given, attribute, delegated
    elif isinstance(given, providers.AttributeGetter):
        path = f"{given.name}.{attribute}" if attribute else str(given.name)
        yield from _sources(given.provides, names, path, delegated=delegated)
    elif isinstance(given, (providers.ProvidedInstance, providers.Delegate)):
        delegate = delegated or isinstance(given, providers.Delegate)
        yield from _sources(given.provides, names, attribute, delegated=delegate)
    else:
        for inner in _given(given):
            yield from _sources(inner, names, attribute, delegated=delegated)


if __name__ == "__main__":
    print(page(), end="")
