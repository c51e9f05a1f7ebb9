# docker build -t causeway .
FROM rust:1-slim AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked && cp target/release/causeway /causeway

FROM debian:stable-slim
RUN useradd --system --home-dir /var/lib/causeway --create-home causeway && chmod 700 /var/lib/causeway
COPY --from=build /causeway /usr/local/bin/causeway
USER causeway
VOLUME /var/lib/causeway
EXPOSE 4306
# Everything that must outlive the container (tasks, servers, keys) is in the volume. The first start makes the admin
# account `root` with the password in CAUSEWAY_ADMIN_PASSWORD, or with one that it leaves in the volume.
ENTRYPOINT ["causeway"]
CMD ["serve", "--data-dir", "/var/lib/causeway", "--listen", "0.0.0.0:4306"]
