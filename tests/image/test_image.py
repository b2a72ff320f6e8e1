"""The container image, built from the Dockerfile and started as a cluster would: no root, nothing writable.

Needs root, buildah and debootstrap (`make test-image` installs them on Debian). No registry of images is
asked: the base is made with debootstrap and carries the official image's name, so what is proven is the
Dockerfile and the service in it, not the official base.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).resolve().parents[2]
BASE = "docker.io/library/python:3.11-slim-bookworm"
ISSUER = "https://ehr.example.org"
PUBLIC_URL = "https://cds.example.org"
USER = 10001


class Builder:
    """buildah with a storage of its own."""

    def __init__(self, folder: Path) -> None:
        self._storage = (
            *("--storage-driver", "vfs"),
            *("--root", str(folder / "images")),
            *("--runroot", str(folder / "run")),
        )

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            ["buildah", *self._storage, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout.strip()


@pytest.fixture(scope="session")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """A builder that knows the base image."""
    folder = tmp_path_factory.mktemp("buildah")
    builder, base = Builder(folder), folder / "base"
    packages = "--include=python3,python3-venv,ca-certificates"
    command = ["debootstrap", "--variant=minbase", packages, "bookworm", str(base), *_debian_mirror()]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (base / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    container = builder("from", "scratch")
    builder("add", "--quiet", container, str(base), "/")
    builder("commit", "--quiet", "--rm", container, BASE)
    return builder


def _debian_mirror() -> list[str]:
    """Where this machine gets its own packages from, if that is to be seen."""
    policy = subprocess.run(["apt-cache", "policy"], capture_output=True, text=True, check=False).stdout
    found = [word for word in policy.split() if word.startswith("http") and word.endswith("/debian")]
    return found[:1]


@pytest.fixture(scope="session")
def image(buildah: Builder) -> str:
    name = "localhost/trd-cds"
    options = ("--isolation", "chroot", "--pull-never", "--format", "docker")
    trusted = [option for path in _trusted_files() for option in ("--volume", f"{path}:{path}:ro")]
    buildah("build", *options, *trusted, "--build-arg", f"BASE={BASE}", "--tag", name, ".")
    return name


def _trusted_files() -> Iterator[str]:
    """How this machine's pip is set up, which the build needs too; nothing of it stays in the image."""
    settings = Path("/etc/pip.conf")
    if settings.exists():
        yield str(settings)
        for line in settings.read_text().splitlines():
            name, _, value = line.partition("=")
            if name.strip() == "cert":
                yield value.strip()


@pytest.fixture(scope="session")
def container(buildah: Builder, image: str) -> str:
    return buildah("from", "--pull-never", image)


def run_in(buildah: Builder, container: str, script: str) -> str:
    return buildah("run", "--isolation", "chroot", container, "--", "sh", "-c", script)


@pytest.fixture(scope="session")
def config(buildah: Builder, image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]
    return found


def test_it_runs_as_nobody_in_particular(buildah: Builder, container: str, config: dict[str, Any]) -> None:
    assert config["User"] == f"{USER}:{USER}"
    assert run_in(buildah, container, "id -u; id -g").split() == [str(USER), str(USER)]
    assert (
        run_in(
            buildah, container, "for f in /x /opt/trd-cds/x /etc/x; do touch $f 2>&1; done | grep -c denied"
        )
        == "3"
    )


def test_it_starts_the_service_and_says_how_to_ask_for_its_health(config: dict[str, Any]) -> None:
    assert (config["Entrypoint"], config["Cmd"]) == (["trd-cds"], ["serve"])
    assert "/health/ready" in config["Healthcheck"]["Test"][-1]
    assert list(config["Volumes"]) == ["/var/lib/trd-cds"]


def test_no_build_tools_and_no_sources_are_left(buildah: Builder, container: str) -> None:
    script = (
        "for tool in gcc cc make pip pip3 git buildah; do command -v $tool; done; ls /src 2>/dev/null; true"
    )
    assert run_in(buildah, container, script) == ""
    assert run_in(buildah, container, "python -c 'import pip' 2>&1 | tail -1").startswith(
        "ModuleNotFoundError"
    )
    assert run_in(buildah, container, "python -c 'import psycopg, opentelemetry.sdk; print(1)'") == "1"


def test_nothing_secret_or_of_the_building_machine_is_in_it(config: dict[str, Any]) -> None:
    names = {entry.partition("=")[0] for entry in config["Env"]}
    assert names <= {
        *("PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "TRD_CDS_HOST"),
        *("XDG_CACHE_HOME", "XDG_DATA_HOME"),
    }


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Production settings with one client; its private key stays here."""
    key = ec.generate_private_key(ec.SECP384R1())
    public = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    public |= {"kid": "1", "use": "sig", "alg": "ES384"}
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [public]}))
    (tmp_path / "trd-cds.toml").write_text(
        'fhir_servers = ["https://fhir.example.org/r4"]\n'
        f'[[clients]]\nissuer = "{ISSUER}"\njwks_file = "/mnt/settings/keys.json"\n'
    )
    tmp_path.chmod(0o755)
    return {
        "TRD_CDS_MODE": "production",
        "TRD_CDS_TLS_TERMINATED": "true",
        "TRD_CDS_PUBLIC_URL": PUBLIC_URL,
        "TRD_CDS_CONFIG": "/mnt/settings/trd-cds.toml",
        "TRD_CDS_PORT": str(_free_port()),
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


READ_ONLY = """
set -eu
mount --bind "$0" "$0"
mount -o remount,ro,bind "$0"
mount -t tmpfs tmpfs "$0/tmp"
mount -t proc proc "$0/proc"
mount -t tmpfs -o mode=0700,uid=10001,gid=10001 tmpfs "$0/var/lib/trd-cds"
mount -t tmpfs tmpfs "$0/mnt"
mkdir "$0/mnt/settings"
mount --bind "$1" "$0/mnt/settings"
shift
exec chroot --userspec=10001:10001 "$0" "$@"
"""


def test_it_serves_with_a_read_only_root_and_stops_when_told(
    buildah: Builder, container: str, config: dict[str, Any], settings: dict[str, str], tmp_path: Path
) -> None:
    """Its root is mounted read-only; only /tmp and the volume can be written to."""
    root = buildah("mount", container)
    environment = dict(entry.split("=", 1) for entry in config["Env"]) | settings
    url = f"http://127.0.0.1:{settings['TRD_CDS_PORT']}"

    def in_container(*command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", READ_ONLY, root, str(tmp_path), *command],
            env=environment | {"PATH": environment["PATH"] + ":/usr/sbin:/sbin"},
        )

    process = in_container(*config["Entrypoint"], *config["Cmd"])
    try:
        assert _ready(url, process)
        assert requests.get(f"{url}/cds-services", timeout=5).status_code == 200
        assert requests.post(f"{url}/cds-services/trd-patient-view", json={}, timeout=5).status_code == 401
        health = config["Healthcheck"]["Test"][1:]
        assert in_container(*health).wait(timeout=20) == 0
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(timeout=40)
    assert status == 0
    assert in_container(*health).wait(timeout=20) != 0


def _ready(url: str, process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            return requests.get(f"{url}/health/ready", timeout=2).status_code == 200
        except requests.ConnectionError:
            time.sleep(0.2)
    return False


def test_the_tests_run_as_root() -> None:
    """Building with a chroot needs it; without it nothing above would have been proven."""
    assert os.geteuid() == 0
