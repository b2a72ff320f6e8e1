# Two stages: packages are installed in the first; the second has no compiler, no pip and no root.
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml setup.cfg README.md LICENSE NOTICE ./
COPY cds_service cds_service
COPY cards cards
COPY fhir_fixtures fhir_fixtures
RUN python -m venv /opt/trd-cds \
 && /opt/trd-cds/bin/python -m pip install --no-cache-dir '.[postgresql,tracing]' \
 && /opt/trd-cds/bin/python -m pip uninstall --yes setuptools pip

FROM ${BASE}
RUN rm -rf /usr/local/lib/python3.*/site-packages/pip* /usr/local/lib/python3.*/ensurepip /usr/local/bin/pip* \
 && groupadd --gid 10001 trd-cds \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/trd-cds --shell /usr/sbin/nologin trd-cds \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/trd-cds
COPY --from=build /opt/trd-cds /opt/trd-cds
COPY LICENSE NOTICE /usr/share/doc/trd-cds/
# Only /var/lib/trd-cds and /tmp are written to: the root may be read-only.
ENV PATH=/opt/trd-cds/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TRD_CDS_HOST=0.0.0.0 \
    XDG_CACHE_HOME=/tmp \
    XDG_DATA_HOME=/var/lib
VOLUME /var/lib/trd-cds
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('TRD_CDS_PORT', '8000') + '/health/ready', timeout=2)"]
ENTRYPOINT ["trd-cds"]
CMD ["serve"]
