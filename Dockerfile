# The slipway image: the binary and the small one beside its steps, the ONNX Runtime, and Python for the pipelines that it runs.
# Both stages start from the same plain Debian 12; BASE_IMAGE names another copy of it where the public one cannot be had.
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS build
ENV CARGO_TARGET_DIR=/build CARGO_INCREMENTAL=0
WORKDIR /src
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential ca-certificates curl nodejs npm python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
# Tools change seldom: a layer of their own.
COPY rust-toolchain.toml Cargo.lock package.json package-lock.json ./
COPY scripts scripts
RUN scripts/setup.sh image
COPY . .
RUN scripts/build-web.sh \
    && PATH=$PATH:/root/.cargo/bin cargo build --release --locked -p server --bins \
    && cp /build/release/slipway /build/release/slipway-step /usr/local/bin/ \
    && cp --dereference /root/.cache/slipway/onnxruntime/libonnxruntime.so /usr/local/lib/libonnxruntime.so

FROM ${BASE_IMAGE}
# tini reaps what the processes of a pipeline leave behind; the commands of a pipeline say python.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libstdc++6 python-is-python3 python3 python3-venv tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --create-home slipway \
    && install --directory --owner=slipway --group=slipway /data
COPY --from=build /usr/local/bin/slipway /usr/local/bin/slipway-step /usr/local/bin/
COPY --from=build /usr/local/lib/libonnxruntime.so /usr/local/lib/libonnxruntime.so
ENV SLIPWAY_LISTEN=0.0.0.0:3000 \
    SLIPWAY_DATA_DIR=/data \
    SLIPWAY_ONNXRUNTIME=/usr/local/lib/libonnxruntime.so
USER slipway
WORKDIR /data
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:3000/readyz', timeout=4)"]
ENTRYPOINT ["tini", "--", "slipway"]
CMD ["serve"]
