"""What a URL asks for is in force on the connection, and what a connection fails by is told in words."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from settings import DatabaseSettings
from tests.faults.tls_postgresql import TlsPostgresql
from unitwork.connections.engine import build_engine
from unitwork.errors import DatabaseUnavailable
from unitwork.testing.servers import mariadb_server
from unitwork.urls.database_url import async_url


async def answer(url: str, statement: str = "SELECT 1", **given: Any) -> Any:
    """One value over a connection of its own."""
    engine = build_engine(DatabaseSettings.model_validate({"url": url, **given}))
    try:
        async with engine.connect() as connection:
            return (await connection.execute(text(statement))).scalar()
    finally:
        await engine.dispose()


async def failure(url: str) -> str:
    """The words that a connection fails with."""
    with pytest.raises(DatabaseUnavailable) as raised:
        await answer(url)
    assert raised.value.fix
    return str(raised.value)


SETTING = "SELECT current_setting('{}')"
ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


async def test_what_the_url_asks_the_session_for_is_in_force(tls_server: TlsPostgresql) -> None:
    url = tls_server.url()
    asked = f"{url}?application_name=shop&options=-csearch_path%3Dapp%20-cstatement_timeout%3D7s&connect_timeout=4"
    assert await answer(asked, SETTING.format("application_name")) == "shop"
    assert await answer(asked, SETTING.format("search_path")) == "app"
    assert await answer(asked, SETTING.format("statement_timeout")) == "7s"
    assert await answer(asked, SETTING.format("TimeZone")) == "UTC"
    assert await answer(asked, SETTING.format("application_name"), pooler="pgbouncer") == "shop"
    assert await answer(url, SETTING.format("application_name")) == "gatehouse"


async def test_tls_is_demanded_by_each_of_its_spellings(tls_server: TlsPostgresql, certificates: Path) -> None:
    url = tls_server.url()
    for query in ("sslmode=require", "ssl=true", "channel_binding=require", "sslmode=verify-ca&sslrootcert={}",
                  "sslrootcert={}"):  # fmt: skip
        assert await answer(f"{url}?{query.format(certificates / 'server.crt')}", ENCRYPTED), query
    assert not await answer(f"{url}?sslmode=disable", ENCRYPTED)
    named = url.replace("127.0.0.1", "localhost")
    assert await answer(f"{named}?sslmode=verify-full&sslrootcert={certificates / 'server.crt'}", ENCRYPTED)


async def test_the_first_host_that_fits_is_taken(tls_server: TlsPostgresql) -> None:
    port = tls_server.port
    url = f"postgresql://postgres@127.0.0.1:1,127.0.0.1:{port}/postgres?target_session_attrs=read-write"
    assert await answer(url) == 1
    assert await answer(f"postgresql://postgres@/postgres?host=127.0.0.1,127.0.0.1&port=1,{port}") == 1
    assert "target_session_attrs asks for" in await failure(f"{tls_server.url()}?target_session_attrs=standby")


async def test_why_tls_fails_is_told(tls_server: TlsPostgresql, certificates: Path) -> None:
    url = tls_server.url()
    full = f"{url}?sslmode=verify-full&sslrootcert="
    assert "certificate is for another name" in await failure(f"{full}{certificates / 'server.crt'}")
    assert "unknown authority" in await failure(f"{full}{certificates / 'other.crt'}")
    assert "a certificate's that `url` names" in await failure(f"{full}/no/such/file")
    assert "unknown authority" in await failure(f"{full}system")
    refused = await failure(f"{url.replace('postgres@', 'tls@')}?sslmode=disable")
    assert "sslmode=require" in refused


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_server_without_tls_is_named_as_such(database_url: str, backend: str) -> None:
    assert "the server has no TLS, and the URL demands it" in await failure(f"{database_url}?sslmode=require")


async def test_who_is_refused_hears_of_user_and_password(tls_server: TlsPostgresql) -> None:
    url = tls_server.url().replace("postgres@", "{}@")
    assert await answer(url.format("ann:pässwört")) == 1
    for credentials in ("ann:canary", "ann", "nobody:canary"):
        words = await failure(url.format(credentials))
        assert "user or password are refused" in words
        assert "canary" not in words
    assert "takes no more connections" in await failure(url.format("few"))
    assert "no database of that name" in await failure(tls_server.url("missing"))
    assert "a setting that the session begins with" in await failure(f"{tls_server.url()}?options=-cfoo%3D1")


async def test_a_pooler_that_takes_no_settings_names_ours() -> None:
    """As PgBouncer answers a session that begins with settings."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (await reader.readexactly(8))[4:] == b"\x04\xd2\x16\x2f":  # the question for TLS
            writer.write(b"N")
        fields = b"SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: statement_timeout\0\0"
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert "`pooler=pgbouncer`" in await failure(f"postgresql://u:p@127.0.0.1:{port}/db")


@pytest.mark.skipif(not mariadb_server.named(), reason="no MariaDB is named")
@pytest.mark.parametrize("backend", ["mariadb"], indirect=True)
async def test_mariadb_tells_its_reasons_in_words_too(database_url: str, backend: str) -> None:
    url = async_url(database_url)
    plain = url.set(query={})

    def written(**parts: Any) -> str:
        return plain.set(**parts).render_as_string(hide_password=False)

    assert "user or password are refused" in await failure(written(username="nobody_here", password="päss@canary"))
    assert "no database of that name" in await failure(written(database="gatehouse_missing"))
    assert "the server has no TLS" in await failure(f"{written()}?ssl-mode=REQUIRED")
    assert "the server's socket" in await failure(f"{written(host=None, port=None)}?unix_socket=/no/such/socket")
    assert await answer(f"{written()}?charset=utf8&connect_timeout=3&ssl-mode=DISABLED") == 1
