# The service in one image: `docker build --tag gatehouse .`; docs/guides/operations.md says how it is run.
ARG BASE=docker.io/library/python:3.11.16-slim-bookworm
# @sha256:… of that image, as it was when it was looked at.
ARG BASE_DIGEST=

FROM ${BASE}${BASE_DIGEST} AS build
WORKDIR /build
COPY requirements/tools.txt requirements/run.txt requirements/
RUN python -m venv /opt/tools \
    && /opt/tools/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        -r requirements/tools.txt \
    && python -m venv --without-pip /opt/gatehouse \
    && /opt/tools/bin/uv pip install --no-cache --python /opt/gatehouse/bin/python --compile-bytecode --require-hashes \
        -r requirements/run.txt
COPY . .
RUN /opt/tools/bin/python -m pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation \
        --wheel-dir /wheels ./packages/unitwork . \
    && /opt/tools/bin/uv pip install --no-cache --python /opt/gatehouse/bin/python --compile-bytecode --no-deps \
        /wheels/*.whl

FROM ${BASE}${BASE_DIGEST}
RUN groupadd --gid 10001 gatehouse \
    && useradd --uid 10001 --gid gatehouse --no-create-home --shell /usr/sbin/nologin gatehouse \
    && install --directory --owner=gatehouse --group=gatehouse --mode=0700 /var/lib/gatehouse
COPY --from=build /opt/gatehouse /opt/gatehouse
ENV PATH=/opt/gatehouse/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GATEHOUSE_ENVIRONMENT=production \
    GATEHOUSE_HOST=0.0.0.0 \
    GATEHOUSE_LOG_FORMAT=json \
    GATEHOUSE_VAR_DIR=/var/lib/gatehouse
WORKDIR /var/lib/gatehouse
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as http; http.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
ENTRYPOINT ["gatehouse"]
CMD ["serve"]
