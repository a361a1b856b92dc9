#!/bin/sh
# Make the environments of the benchmarks' peers, each from its locked set.
set -eu
for pair in peers:bench fastapi-sqla:bench-sqla; do
    folder=".bench/${pair%%:*}"
    set="requirements/${pair##*:}.txt"
    test -x "$folder/bin/python" || .venv/bin/python -m venv --without-pip "$folder"
    .venv/bin/uv pip install --quiet --python "$folder/bin/python" --compile-bytecode --require-hashes -r "$set"
done
