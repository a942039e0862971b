# The training service as a batch image: one run, one exit code, no server.
#
#   docker build -t training-service .
#   docker run --rm --init -v ./model_store:/data/model_store -v ./feedback:/data/feedback:ro \
#       -v ./canonical:/data/canonical:ro training-service full-train
#
# The folder mounted on /data/model_store must be writable for uid 10001.

ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_LINK_MODE=copy

# The packages, in a layer that changes only with them: the project itself is empty here.
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY scripts/bootstrap scripts/bootstrap
RUN mkdir training_service && touch training_service/__init__.py \
    && PYTHON=python3 VENV=/opt/venv EXTRAS=minilm EDITABLE=0 sh scripts/bootstrap

# Bytecode is written now: the user who runs the image may not write there.
COPY training_service training_service
RUN /opt/venv/bin/python -m pip install --quiet --no-deps --force-reinstall --compile . \
    && /opt/venv/bin/python -m pip check \
    && /opt/venv/bin/python -m pip uninstall --quiet --yes uv pip \
    && rm -f /opt/venv/bootstrap.stamp

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="training-service" \
      org.opencontainers.image.description="Retrains a semantic matcher from feedback and promotes only what is no worse" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

RUN groupadd --gid 10001 train \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin train \
    && mkdir -p /data/model_store /data/feedback /data/canonical /data/cache \
    && chown -R 10001:10001 /data
COPY --from=build /opt/venv /opt/venv

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    ORT_DISABLE_TELEMETRY=1 \
    CANONICAL_FILE=/data/canonical/canonical.json \
    FEEDBACK_FILE=/data/feedback/feedback.csv \
    MODEL_STORE_BASE=/data/model_store \
    TRAIN_CACHE_DIR=/data/cache

WORKDIR /data
VOLUME ["/data/model_store", "/data/feedback", "/data/canonical"]
USER 10001:10001

# A batch job is judged by its exit code; nothing stays up to be asked.
HEALTHCHECK NONE
ENTRYPOINT ["train"]
CMD ["--help"]
