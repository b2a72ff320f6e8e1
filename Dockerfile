# Two stages: the wheel is built in the first; the second has no compiler, no pip cache and no root.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml setup.cfg README.md LICENSE NOTICE ./
COPY cds_service cds_service
COPY cards cards
COPY fhir_fixtures fhir_fixtures
RUN python -m venv /opt/trd-cds && /opt/trd-cds/bin/pip install --no-cache-dir .

FROM python:3.12-slim
COPY --from=build /opt/trd-cds /opt/trd-cds
COPY LICENSE NOTICE /usr/share/doc/trd-cds/
RUN useradd --system --no-create-home trd-cds
USER trd-cds
ENV PATH=/opt/trd-cds/bin:$PATH PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
CMD ["trd-cds", "serve", "--host", "0.0.0.0"]
