"""Fakes with the contract of the real classes: DAOs over rows in memory, for tests without a database.

    class InMemoryUsers(InMemoryDao[User], UserDao): ...

    sessions = FakeSessionProvider()
    container.session_provider.override(sessions)
    container.user_dao.override(InMemoryUsers(sessions))

The same tests run over these fakes and over real databases (`tests/repositories/test_conformance*.py`). A construct
that memory can't evaluate as a database would raises `NotFaked`. Where databases differ, the fakes behave like
PostgreSQL.

    part          supported                                        raises NotFaked (or differs, in brackets)
    ------------  -----------------------------------------------  -----------------------------------------------
    DAO           every method of BaseDao, and a DAO's own if      SQL of a DAO's own; override that method with
                  they use builders                                one that uses builders
    builders      every method of query, count, update and         options, from_subquery; locks with skip_locked,
                  delete, except those beside; rows are live       nowait or timeout; a method whose field is not
                  models, one object for a row in a transaction    in the fake's `answered`
    conditions    comparisons, IN, BETWEEN, LIKE, IS (NOT) NULL,   functions, subqueries, CASE, CAST, text, other
                  IS DISTINCT, tuples, + - *, concatenation; AND,  tables' columns, division, ILIKE, regular
                  OR, NOT over true, false and unknown             expressions; comparisons of different types
    LIKE          case-sensitive; a backslash escapes              a pattern that ends in its escape character
    order         NULL last, the primary key as tie-breaker        (text by code point, as with the C collation)
    values        converted by the column's type in both           types that wrap their values in SQL; (lengths
                  directions, rounded to its scale; copied, never  and ranges are not checked)
                  shared with a model
    defaults      Python functions, expressions, autoincrement,    server defaults, sequences, values that the
                  ids, stamps by the acting user, versions         database computes on UPDATE
    constraints   NOT NULL, CHECK, unique and primary keys,        ON DELETE SET DEFAULT; (a CHECK or index whose
                  unique indexes (also partial), foreign keys      SQL SQLite can't evaluate is not checked; deferred
                  with CASCADE and SET NULL                        keys are checked at once; references to a model
                                                                   without a DAO are not checked)
    models        one row of one table, as a session would have    inheritance; relationships that are stored; a
                  read or stored it: deferred columns, composites, changed primary key, or one that isn't the
                  mutable values, mapped expressions               table's; versions counted by the database;
                                                                   defaults that query the database; (relationships
                                                                   are not loaded with their row)
    transactions  the real ones: propagation, savepoints, hooks,   (isolation levels have no effect: a statement
                  deadlines, read-only blocks, ownership of        sees what is committed)
                  sessions, doomed transactions
    writers       one block writes at a time; the first write of   (a nested block, REQUIRES_NEW, doesn't wait, and
                  another task waits until it has ended            gets LockNotAvailable for a row or value that the
                                                                   outer one has written)
    session       add, add_all, delete, flush, expunge, expire,    every statement; get, refresh, merge, stream,
                  begin_nested, info; events before a flush,       connection; (no event follows a flush)
                  before and after a commit

To support another builder, derive a class from it and `InMemoryBuilder` that names its fields in `answered` and
whose final methods call the `FakeSession` (`found`, `change`, `remove`). To support another SQL construct, register a
function in `expressions`.

Not here: isolated tests on a real database (`unitwork.testing`). No part of the program imports this package.
"""

from unitwork.testing.fakes.dao import InMemoryDao
from unitwork.testing.fakes.errors import NotAFakeSession, NotFaked
from unitwork.testing.fakes.session import FakeSession
from unitwork.testing.fakes.session_provider import FakeSessionProvider

__all__ = ["FakeSession", "FakeSessionProvider", "InMemoryDao", "NotAFakeSession", "NotFaked"]
