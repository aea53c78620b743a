# Two stages: the first installs the hashed lock, the second carries only what runs, as an account without rights.
# Build: docker build -t tongban .      Run: docker compose up, or docker run --env-file .env -v tongban:/srv/var -p 127.0.0.1:8000:8000 tongban
# Under /srv/var stand the SQLite file and the spool: give it a volume that outlives the container.

FROM python:3.13-slim AS builder
WORKDIR /build
COPY requirements/ requirements/
# uv itself comes from the lock too, so that its version stands in one place.
RUN awk '/^[^ #]/ { mine = /^uv==/ } mine' requirements/dev.txt > uv.txt \
 && python -m pip install --no-cache-dir --require-hashes --only-binary :all: -r uv.txt
RUN python -m venv --without-pip /venv \
 && uv pip sync --no-cache --python /venv/bin/python --require-hashes --compile-bytecode requirements/run.txt

FROM python:3.13-slim
RUN groupadd --system --gid 10001 tongban \
 && useradd --system --uid 10001 --gid tongban --home-dir /srv --shell /usr/sbin/nologin tongban \
 && mkdir -p /srv/var && chown tongban:tongban /srv/var
WORKDIR /srv
COPY --from=builder /venv /venv
COPY alembic.ini ./
COPY migrations/ migrations/
COPY bots/ bots/
COPY app/ app/
RUN /venv/bin/python -m compileall -q app bots migrations
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TONGBAN_HOST=0.0.0.0 TONGBAN_PORT=8000
USER 10001:10001
VOLUME /srv/var
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:%s/health/live' % os.environ['TONGBAN_PORT'], timeout=4)"]
ENTRYPOINT ["python", "-m", "app"]
CMD ["run"]
