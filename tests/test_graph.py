"""docs/graph.md shows the graph as it is."""

from pathlib import Path

import pytest
from dependency_injector import containers, providers

from containers import Container
from tests import graph

DOCUMENT = Path(__file__).parent.parent / "docs" / "graph.md"


def test_the_page_shows_the_graph_as_it_is() -> None:
    renew = "docs/graph.md is out of date; renew it: .venv/bin/python -m tests.graph > docs/graph.md"
    assert DOCUMENT.read_text(encoding="utf-8") == graph.page(), renew


def test_every_provider_is_a_node() -> None:
    diagram = graph.mermaid()
    for name, provider in Container.providers.items():
        assert f'{name}["{name}: {type(provider).__name__}"]' in diagram


def test_what_is_given_by_attribute_or_as_a_provider_is_drawn_as_such() -> None:
    diagram = graph.mermaid()
    assert 'settings -->|"tokens"| auth_service' in diagram
    assert "engine -.-> session_factory" in diagram
    assert "engine --> session_factory" not in diagram


def test_what_an_unnamed_provider_takes_is_drawn_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Small(containers.DeclarativeContainer):
        lifetime = providers.Singleton(Container.lifetime.provides)
        dao = providers.Factory(Container.user_dao.provides, providers.List(lifetime), cursors=lifetime.provider)

    monkeypatch.setattr(graph, "Container", Small)
    arrows = [line.strip() for line in graph.mermaid().splitlines() if ">" in line]
    assert arrows == ["lifetime --> dao", "lifetime -.-> dao"]
