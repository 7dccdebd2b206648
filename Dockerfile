FROM python:3.11-slim-bookworm AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements.lock ./
RUN /venv/bin/pip install --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY proxy proxy
RUN pip wheel --no-deps --wheel-dir dist . && /venv/bin/pip install --no-deps dist/*.whl

FROM node:20-bookworm-slim AS page
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM build AS player
COPY requirements-dev.lock ./
RUN /venv/bin/pip install --no-deps --require-hashes -r requirements-dev.lock

FROM python:3.11-slim-bookworm AS service
RUN useradd --system --uid 10001 --home-dir /app centrigate && install -d -o centrigate /app /app/var
COPY --from=build /venv /venv
COPY policies /app/policies
WORKDIR /app
USER centrigate
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 CENTRIGATE_HOST=0.0.0.0 CENTRIGATE_PORT=8010
EXPOSE 8010
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=5 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8010/health', timeout=2)"]
CMD ["centrigate", "serve"]

# The demo: the service with clients that play a scenario, and the page's client.
FROM service AS demo
COPY --from=player /venv /venv
COPY --from=page /src/node_modules/centrifuge /app/node_modules/centrifuge
CMD ["centrigate", "dev", "--attach"]

FROM service
