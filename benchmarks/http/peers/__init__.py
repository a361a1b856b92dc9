"""One module for each peer, as its own documentation would have it written. Each has an ASGI `app`.

GET /accounts/{id} · GET /accounts?limit=50 (with the total) · PATCH /accounts/{id} · POST /pairs (two rows in two
statements, one transaction). The database is `DATABASE_URL`, a pool of `POOL_SIZE` connections.
"""
