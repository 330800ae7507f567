# Two images of one tree: `api`, which has no numpy to import, and `worker`, which also runs the rescuer. A third,
# `all-in-one`, runs both in one container of 512 MB. It is the last, for hosts that build no other target.
# `valkey` and `s3` are the public images with a folder for data that belongs to a user without rights.
# Build and run them with docker-compose.yml; deploy/README.md says how.

FROM python:3.11-slim-bookworm AS python
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app


FROM python AS api-packages
COPY requirements/api.txt ./
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes --only-binary :all: -r api.txt
COPY shared/ shared/
COPY api/ api/
COPY docs/*.md docs/
RUN python -m compileall -q shared api


FROM python AS worker-packages
COPY requirements/worker.txt ./
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes --only-binary :all: -r worker.txt \
    # Test suites of numpy, scipy, numba and others: a fifth of the image, and imported by nothing.
    && find /opt/venv/lib -type d -name tests -path '*-packages/*' -prune -exec rm -rf {} +


FROM python AS api
# glibc's malloc: one arena, and a mapping of its own for every upload buffer, which is returned when it is freed.
# The defaults kept 50 MiB of holes after 64 uploads at the same time.
ENV MALLOC_ARENA_MAX=1 \
    MALLOC_MMAP_THRESHOLD_=65536
COPY --from=api-packages /opt/venv /opt/venv
COPY --from=api-packages /app/shared shared
COPY --from=api-packages /app/api api
COPY --from=api-packages /app/docs docs
USER 10001:10001
# kombu imports its transport when the first message is sent: what that lacks would show in production.
RUN python -c "import api.app, api.server, shared.services, kombu.transport.redis"
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["python", "-m", "api", "serve", "--host", "0.0.0.0", "--port", "8000"]


FROM python AS worker
# One thread each: the pool's processes are the parallelism, and threads of theirs would only cost memory.
ENV OPENBLAS_NUM_THREADS=1 \
    OMP_NUM_THREADS=1
COPY --from=worker-packages /opt/venv /opt/venv
COPY shared/ shared/
COPY worker/ worker/
RUN python -m compileall -q shared worker
USER 10001:10001
# Fails the build if the decoders can't be loaded.
RUN python -c "from worker.analyze_files import prepare; prepare()"
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-m", "worker", "healthcheck"]
CMD ["python", "-m", "worker", "run", "--concurrency", "2"]


FROM valkey/valkey:9-alpine AS valkey
USER 0:0
RUN mkdir -m 0700 /srv/valkey && chown 10001:10001 /srv/valkey
USER 10001:10001
WORKDIR /srv/valkey


FROM chrislusf/seaweedfs:4.48 AS s3
USER 0:0
RUN mkdir -m 0700 /srv/objects && chown 10001:10001 /srv/objects
USER 10001:10001
WORKDIR /srv/objects


FROM python AS all-in-one
# The launcher's settings for one user are not for the internet.
ENV KAMMERTON_ALLOW_ANONYMOUS=false \
    KAMMERTON_RATE_LIMITS_ENABLED=true \
    KAMMERTON_METRICS_PUBLIC=false \
    OPENBLAS_NUM_THREADS=1 \
    OMP_NUM_THREADS=1
COPY requirements/api.txt requirements/worker.txt ./
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes --only-binary :all: \
        -r api.txt -r worker.txt \
    && find /opt/venv/lib -type d -name tests -path '*-packages/*' -prune -exec rm -rf {} +
COPY shared/ shared/
COPY api/ api/
COPY worker/ worker/
COPY local/ local/
COPY docs/*.md docs/
RUN python -m compileall -q shared api worker local \
    && mkdir -m 0700 /data && chown 10001:10001 /data
USER 10001:10001
RUN python -c "import api.app, api.server, shared.preload, worker.background; shared.preload.preload()"
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["python", "-m", "local", "--small", "--verbose", "--host", "0.0.0.0", "--port", "8000", "--data-dir", "/data", \
     "--upload-grace-seconds", "20"]
