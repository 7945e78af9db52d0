# Tarn in an image that holds nothing else: one static binary, the certificates of
# public authorities (for S3, catalogs and issuers by HTTPS) and a folder for its data.
#
#   docker build -t tarn .
#   docker run -p 127.0.0.1:9092:9092 -p 127.0.0.1:8081:8081 -v tarn:/var/lib/tarn tarn
#
# It runs with --read-only and without any capability. "make image" builds and runs
# what this file says without a Docker engine.
ARG GO_VERSION=1.26

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# An engine sets these two; a default would win over it, and an image for arm64 have a
# program for amd64. Where none sets them, Go builds for the machine itself.
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=0.1.0-dev
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build -buildvcs=false -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/tarn .
RUN mkdir -p /out/data /out/root/tmp && chmod 1777 /out/root/tmp
# A container is reached by its published ports only, so it listens on all its own
# addresses. Publish them to 127.0.0.1, or put another file in its place that sets up
# authentication as README.md says. TARN_… variables go over it.
RUN printf 'kafka: {listen: "0.0.0.0:9092", advertise: "localhost:9092"}\nhttp: {listen: "0.0.0.0:8081"}\ninsecure-listen: true\n' > /out/tarn.yaml

FROM scratch
LABEL org.opencontainers.image.title="Tarn" org.opencontainers.image.description="A schema-aware, Kafka-compatible broker with a lake inside" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# With /tmp, whose mode is kept because it is copied as part of a folder: a tmpfs that an
# engine mounts over it takes that mode.
COPY --from=build /out/root/ /
COPY --from=build --chown=65532:65532 /out/data /var/lib/tarn
COPY --from=build /out/tarn.yaml /etc/tarn/tarn.yaml
COPY --from=build /out/tarn /usr/local/bin/tarn
ENV PATH=/usr/local/bin
ENV TARN_CONFIG=/etc/tarn/tarn.yaml
ENV TARN_DATA=/var/lib/tarn
# What SQL spills goes beside the data: /tmp is often a tmpfs, which counts as memory.
# SQLite unlinks these files when it opens them, so none is left behind.
ENV SQLITE_TMPDIR=/var/lib/tarn
WORKDIR /var/lib/tarn
USER 65532:65532
VOLUME /var/lib/tarn
EXPOSE 9092 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["tarn", "healthcheck"]
ENTRYPOINT ["tarn"]
CMD ["serve"]
