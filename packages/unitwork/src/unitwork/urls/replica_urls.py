"""Replica URLs: read the addresses of a database's replicas, each a URL of its own."""

from collections.abc import Sequence

from sqlalchemy import URL

from unitwork.urls.database_url import async_url, masked, places


def replica_urls(replicas: Sequence[URL | str], primary: URL) -> tuple[URL, ...]:
    """Return the replicas' URLs with their async drivers. Without a user and password of its own, a replica has the
    primary's.

    Raises ValueError for a URL that can't be read, for a database other than PostgreSQL, for several hosts in one URL,
    and for an address that is named twice or is the primary's.
    """
    urls: list[URL] = []
    if replicas and primary.get_backend_name() != "postgresql":
        msg = f"replicas are read on PostgreSQL alone, and the database is {primary.get_backend_name()}; name none"
        raise ValueError(msg)
    for replica in replicas:
        url = async_url(replica)
        if url.get_backend_name() != "postgresql":
            msg = f"a replica of PostgreSQL is PostgreSQL too: {masked(url)}"
            raise ValueError(msg)
        if len(places(url)) > 1:
            msg = f"name each replica by a URL of its own, with one host: {masked(url)}"
            raise ValueError(msg)
        if url.password is None and url.username in {None, primary.username}:
            url = url.set(username=primary.username, password=primary.password)
        if any(_place(url) == _place(other) for other in urls):
            msg = f"a replica is named twice: {masked(url)}"
            raise ValueError(msg)
        if _place(url) == _place(primary):
            msg = f"the primary is named as its own replica: {masked(url)}"
            raise ValueError(msg)
        urls.append(url)
    return tuple(urls)


def _place(url: URL) -> tuple[tuple[str, int], ...]:
    return tuple((host, port or 5432) for host, port in places(url))
