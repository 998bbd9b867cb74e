# The base image of the build; its tag decides the Go version.
ARG GO_IMAGE=golang:1.26

FROM ${GO_IMAGE} AS build
WORKDIR /src
# Modules first: they seldom change, so their layer is reused.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# What `kazoohook version` says, e.g. v1.2.3. Version control isn't part of the
# build context, so it has to be given.
ARG VERSION=container
# Static (no C). The same source gives the same bytes: no paths, no build id.
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false \
      -ldflags "-s -w -buildid= -X main.stamped=${VERSION}" \
      -o /rootfs/kazoohook ./cmd/kazoohook \
 && mkdir -p /rootfs/data /rootfs/tmp /rootfs/etc/ssl/certs \
 && chmod 0700 /rootfs/data && chmod 1777 /rootfs/tmp \
 && cp /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/ \
 && chown -R 65532:65532 /rootfs/data

# Nothing but the program, the public CAs and two directories: no shell, no
# package manager, nothing to patch.
FROM scratch
COPY --from=build /rootfs/ /
USER 65532:65532
ENV DATA_DIR=/data
VOLUME /data
EXPOSE 8080
# Asks for /healthz, not /readyz: the container must not restart because Kazoo is down.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["/kazoohook", "healthcheck"]
ENTRYPOINT ["/kazoohook"]
CMD ["serve"]
