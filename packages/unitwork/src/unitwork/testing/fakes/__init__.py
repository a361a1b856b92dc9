"""Fakes that keep the contract: DAOs over rows in memory, for tests that need no database.

    class InMemoryUsers(InMemoryDao[User], UserDao): ...

    sessions = FakeSessionProvider()
    container.session_provider.override(sessions)
    container.user_dao.override(InMemoryUsers(sessions))

The same tests run over these fakes and over real databases (`tests/repositories/test_conformance*.py`). What memory
can't answer as a database would raises `NotFaked`. Where databases differ, it is PostgreSQL's answer.

    part          faked                                            raises NotFaked, or is said here
    ------------  -----------------------------------------------  -----------------------------------------------
    DAO           every method of BaseDao, and a DAO's own where   SQL of a DAO's own; override that method with
                  they ask through builders                        one that asks through builders
    builders      every word and end of query, count, update and   options, from_subquery; locks that skip, don't
                  delete, but those beside; rows are live models,  wait, or wait for a time; a word whose field is
                  one object for a row in a transaction            not in the fake's `answered`
    conditions    comparisons, IN, BETWEEN, LIKE, IS (NOT) NULL,   functions, subqueries, CASE, CAST, text, other
                  IS DISTINCT, tuples, + - *, joined texts; AND,   tables' columns, division, ILIKE, regular
                  OR, NOT over true, false and unknown             expressions; values of two kinds compared
    LIKE          case counts, and a backslash escapes             a pattern that ends in its escape character
    order         NULL last, the primary key as tie-breaker        (text by code point, as with the C collation)
    values        what the column's type makes of them, both       types that wrap their values in SQL; (lengths
                  ways, rounded to its scale; nothing is shared    and ranges are not checked)
                  with a model
    defaults      Python's, expressions, autoincrement, ids,       server defaults, sequences, what the database
                  stamps by the acting user, versions              sets at an update
    constraints   NOT NULL, CHECK, unique and primary keys,        ON DELETE SET DEFAULT; (a CHECK or index whose
                  unique indexes (partial ones too), foreign       SQL SQLite doesn't know is not checked; deferred
                  keys with CASCADE and SET NULL                   keys are checked at once; a model that no DAO
                                                                   was built for is referred to freely)
    models        one row of one table, as a session would have    inheritance; relationships that are stored; a
                  read or stored it: deferred columns, composites, new primary key, or one that isn't the table's;
                  mutable values, expressions of the mapping       versions the database counts; defaults that ask
                                                                   the database; (no relationship is loaded with
                                                                   its row)
    transactions  the real ones: modes, savepoints, hooks,         (isolation is accepted and changes nothing: a
                  deadlines, read-only blocks, whose session it    statement sees what is committed)
                  is, what dooms it
    writers       one block writes at a time, and another task's   (a block inside it, REQUIRES_NEW, goes ahead,
                  first write waits until it has ended             and gets LockNotAvailable for a row or value
                                                                   that the outer one has written)
    session       add, add_all, delete, flush, expunge, expire,    every statement; get, refresh, merge, stream,
                  begin_nested, info; events before a flush,       connection; (no event follows a flush)
                  before and after a commit

A builder is added by a class over it and `InMemoryBuilder`: it names its fields in `answered`, and its ends ask the
`FakeSession` (`found`, `change`, `remove`). A construct is added by one registered function in `expressions`.

Not here: isolated tests on a real database (`unitwork.testing`). No part of the program imports this package.
"""

from unitwork.testing.fakes.dao import InMemoryDao
from unitwork.testing.fakes.errors import NotAFakeSession, NotFaked
from unitwork.testing.fakes.session import FakeSession
from unitwork.testing.fakes.session_provider import FakeSessionProvider

__all__ = ["FakeSession", "FakeSessionProvider", "InMemoryDao", "NotAFakeSession", "NotFaked"]
