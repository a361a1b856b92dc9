#!/bin/sh
# The library's wheel alone in an environment of its own, tried by a project of somebody else's: its tests on SQLite, and
# on PostgreSQL where UNITWORK_TEST_POSTGRESQL_URL or GATEHOUSE_TEST_POSTGRESQL_URL names a server; its types, strictly.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
uv="$root/.venv/bin/uv"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cp -r "$here/../pyproject.toml" "$here/../README.md" "$here/../LICENSE" "$here/../src" "$folder/src"
"$root/.venv/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --wheel-dir "$folder" "$folder/src" 2>/dev/null
wheel=$(echo "$folder"/unitwork-*.whl)
"$root/.venv/bin/python" -m venv --without-pip "$folder/venv"
python="$folder/venv/bin/python"
install() {
    "$uv" pip install --quiet --python "$python" --constraint "$root/requirements/test.txt" "$@"
}
cp -r "$here/stranger" "$folder/stranger"
cd "$folder/stranger"

install "$wheel"
"$python" "$here/required_only.py"
install "$wheel[sqlite,postgresql,testing]" mypy
"$python" -m pytest -q -p no:cacheprovider -o unitwork_backends=sqlite
url=${UNITWORK_TEST_POSTGRESQL_URL:-${GATEHOUSE_TEST_POSTGRESQL_URL:-}}
if [ -n "$url" ]; then
    UNITWORK_TEST_POSTGRESQL_URL=$url "$python" -m pytest -q -p no:cacheprovider -o unitwork_backends=postgresql
else
    echo "not on PostgreSQL: UNITWORK_TEST_POSTGRESQL_URL is unset"
fi
PYTHONPATH=. "$python" app/main.py sqlite:///shop.db
"$python" -m mypy --strict .
