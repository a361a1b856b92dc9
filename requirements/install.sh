#!/bin/sh
# Install one locked set, the library and the service into .venv: with uv, else with pip and the same file.
set -eu
set="requirements/$1.txt"
python=.venv/bin/python
echo "Installing the locked packages of $set into .venv …" >&2
if ! .venv/bin/uv pip install --quiet --python "$python" --compile-bytecode --require-hashes -r "$set"; then
    echo "uv could not install $set; trying pip" >&2
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$set"
fi
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --editable packages/unitwork --editable .
