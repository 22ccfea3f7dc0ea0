# All images of our own. A target for each kind of program, a build argument for which of them:
#
#   docker build --target service --build-arg SERVICE=auth --tag sutazai/auth:0.2.0 .
#   docker build --target portal  --build-arg SERVICE=portal --tag sutazai/portal:0.2.0 .
#   docker build --target llm     --build-arg SERVICE=llm --tag sutazai/llm:0.2.0 .
#
# SERVICE names the requirements/ file as well, so an image holds the packages of its service and no other's.
# compose.yaml builds them all. Files are copied with the modes of the checkout, which under umask 077 nobody else may
# read; so each image opens its own.

FROM python:3.14.8-slim AS python
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# --- Packages: exactly the locked ones, wheels only, so that nothing is compiled and no build backend is fetched ------
FROM python AS packages
ARG SERVICE
COPY requirements/${SERVICE}.txt /requirements.txt
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --require-hashes --no-deps --only-binary :all: --compile -r /requirements.txt

# --- What every image has ---------------------------------------------------------------------------------------------
FROM python AS base
RUN groupadd --gid 10001 sutazai \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sutazai \
 && install -d -o sutazai -g sutazai /data /files
COPY --chmod=755 deploy/compose/entrypoint.sh /usr/local/bin/entrypoint
COPY --chmod=644 deploy/compose/healthcheck.py /usr/local/lib/healthcheck.py
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    MALLOC_ARENA_MAX=2 \
    HOST=0.0.0.0 \
    PORT=8000
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["entrypoint"]

# --- The five services; the worker of tasks is the same image with another command -------------------------------------
FROM base AS service
ARG SERVICE
COPY --from=packages /opt/venv /opt/venv
COPY shared shared
COPY services/__init__.py services/__init__.py
COPY services/topology.py services/topology.py
COPY services/${SERVICE} services/${SERVICE}
RUN chmod -R a+rX . && python -m compileall -q .
ENV MODULE=services.${SERVICE}
USER 10001:10001
HEALTHCHECK --interval=5s --timeout=3s --start-period=120s --retries=3 \
    CMD ["/usr/local/bin/python", "-I", "/usr/local/lib/healthcheck.py", "http://127.0.0.1:8000/health/ready"]
CMD ["sh", "-c", "exec python -m \"$MODULE\""]

# --- The portal; what keeps Consul's policies is the same image with another command ----------------------------------------------------------------------------------------------------------
FROM base AS portal
COPY --from=packages /opt/venv /opt/venv
COPY shared shared
COPY services/__init__.py services/__init__.py
COPY services/topology.py services/topology.py
COPY gateway/__init__.py gateway/__init__.py
COPY gateway/portal gateway/portal
COPY local/__init__.py local/__init__.py
COPY local/consul_access.py local/consul_access.py
COPY local/errors.py local/errors.py
COPY local/probes.py local/probes.py
COPY local/secrets.py local/secrets.py
COPY docs/errors.md docs/errors.md
RUN chmod -R a+rX . && python -m compileall -q .
USER 10001:10001
HEALTHCHECK --interval=5s --timeout=3s --start-period=120s --retries=3 \
    CMD ["/usr/local/bin/python", "-I", "/usr/local/lib/healthcheck.py", "http://127.0.0.1:8000/health/ready"]
CMD ["python", "-m", "gateway.portal"]

# --- The small language model, for whoever has no other -------------------------------------------------------------------
FROM base AS llm
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=packages /opt/venv /opt/venv
COPY local/__init__.py local/__init__.py
COPY local/model_server.py local/model_server.py
RUN chmod -R a+rX . && python -m compileall -q .
USER 10001:10001
HEALTHCHECK --interval=5s --timeout=3s --start-period=120s --retries=3 \
    CMD ["/usr/local/bin/python", "-I", "/usr/local/lib/healthcheck.py", "http://127.0.0.1:8000/v1/models"]
CMD ["python", "-m", "local.model_server", "--host", "0.0.0.0", "--port", "8000", "--alias", "smollm2-135m-instruct"]
