"""The test kit of the accounts, a pytest plugin: `-p app.testing`, or `pytest_plugins = ["app.testing"]` in a conftest.

The library's kit (`unitwork.testing`) and, over it, a running container, its application and a client. A test runs on a
real database, isolated: in one transaction that is never committed, while the code under test begins, commits and nests
its own as ever. What that can't show raises `NeedsOwnDatabase`; `@pytest.mark.database("own")` gives the test a
database with real commits. Fakes that need no database are in `unitwork.testing.fakes`.
"""

from app.testing.isolated import isolated as isolated  # a module has the same name
from app.testing.messages import assert_appended, deliver_due

pytest_plugins = ["unitwork.testing", "app.testing.plugin", "app.testing.fixtures"]

__all__ = ["assert_appended", "deliver_due", "isolated"]
