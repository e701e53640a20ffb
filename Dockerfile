# The three commands (fanlight-producer, fanlight-consumer, fanlight-wall) in one image. docker-compose.yml runs
# it (`docker compose --profile demo up`). Packages come from pip's usual index, or from that of a build argument
# (`--build-arg PIP_INDEX_URL=...`). No OpenCV: cameras and windows are of the host.
FROM python:3.13-slim AS build
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL
WORKDIR /source
COPY . .
RUN python -m venv --without-pip /opt/fanlight \
 && pip --python /opt/fanlight/bin/python --no-cache-dir --disable-pip-version-check \
    install --constraint constraints.txt '.[wall]'

FROM python:3.13-slim
# socat publishes the wall's port: docker-compose.yml says how.
RUN apt-get update && apt-get install -y --no-install-recommends socat && rm -rf /var/lib/apt/lists/* /var/cache/apt \
 && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin fanlight
COPY --from=build /opt/fanlight /opt/fanlight
ENV PATH=/opt/fanlight/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
# bash instead of a Python that starts anew each time. /healthz is the wall's, or that of --metrics 127.0.0.1:8080.
HEALTHCHECK --interval=3s --timeout=3s --start-period=60s --retries=5 \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 \
&& printf 'GET /healthz HTTP/1.0\\r\\nHost: localhost:8080\\r\\n\\r\\n' >&3 && read -r _ code _ <&3 && [ $code = 200 ]"]
CMD ["fanlight-wall"]
