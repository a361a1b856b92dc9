"""EmbeddedBroker: nothing is lost between its threads, and what was taken is gone."""

import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

from kombu import Connection

COUNT = 100


def test_a_channel_that_two_threads_use_loses_nothing_and_keeps_nothing(tmp_path: Path) -> None:
    file = tmp_path / "broker.db"
    connection = Connection(f"sqlite:///{file}", transport="services.messaging.embedded_broker:EmbeddedBroker")
    channel: Any = connection.channel()
    channel._new_queue("q")
    failed: list[BaseException] = []

    def put() -> None:
        try:
            for number in range(COUNT):
                channel._put("q", {"number": number})
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=put)
    thread.start()
    taken: list[int] = []
    while len(taken) < COUNT and not failed:
        try:
            taken.append(channel._get("q")["number"])
        except Empty:
            continue
    thread.join(30)
    assert failed == []
    assert taken == list(range(COUNT))
    with suppress(Empty):
        channel._get("q")
    engine = channel._open()[0]
    connection.release()
    engine.dispose()
    looking = sqlite3.connect(file)
    assert looking.execute("SELECT count(*) FROM kombu_message").fetchone() == (0,)
    looking.close()
