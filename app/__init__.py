"""The ways in: each translates the outside world into one service call and back.

`app.api` (HTTP), `app.cli` (commands), `app.worker` (Celery tasks). They never import each other; all of them enter
`containers.running()`.
"""
