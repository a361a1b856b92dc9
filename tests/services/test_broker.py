"""Broker: what Celery is told to speak."""

from containers import Container
from settings import Settings


def test_tasks_and_results_are_json_and_nothing_else() -> None:
    configured = Container(settings=Settings()).broker().options()
    for name in ("accept_content", "result_accept_content"):
        assert configured[name] == ["json"]
    for name in ("task_serializer", "result_serializer"):
        assert configured[name] == "json"
