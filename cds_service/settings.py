"""Each setting: its name, default and check. Environment and TOML file become one frozen `Settings`.

`docs/settings.md` is the table for people. Whatever is unknown or wrong stops the start with a
SettingsError that names where it stands, the key, the value and what was expected. Importing this
module loads pydantic, so commands that need no settings leave it alone. An empty variable counts as
not set; clients can be given in the file only.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from cards.card import is_launch_address
from cds_service.errors import SettingsError
from cds_service.fhir_address import FhirAddress, read_address
from cds_service.outbound.network import LOOPBACK, IpNetwork

PREFIX = "TRD_CDS_"
CONFIG_VARIABLE = "TRD_CDS_CONFIG"

_SECRET = ("store_url",)  # may hold a password
_FILE_ONLY = ("clients", "backend_services")
_IN_PLAIN_WORDS = {
    "string_too_short": "a text that is not empty",
    "tuple_type": "an array (of tables: one [[…]] heading each)",
}

CommaList = Annotated[tuple[str, ...], NoDecode]


class Client(BaseModel):
    """One `[[clients]]` table: a client that may call, and where its keys are.

    `tenants` are the values its tokens may name, any if empty; `scopes` what it may call (a service's id,
    `feedback`, `discovery`), all if empty; `fhir_servers` those of the setting that it may name, all if empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    issuer: str = Field(min_length=1)
    jwks_file: str | None = None
    jku: str | None = None
    name: str | None = None
    tenant: str | None = None
    tenants: Annotated[tuple[str, ...], Field(strict=False)] = ()
    scopes: Annotated[tuple[str, ...], Field(strict=False)] = ()
    fhir_servers: Annotated[tuple[str, ...], Field(strict=False)] = ()
    requests_per_minute: int | None = Field(default=None, ge=1)

    @property
    def allowed_tenants(self) -> tuple[str, ...]:
        """`tenant` and `tenants` together."""
        return (*((self.tenant,) if self.tenant is not None else ()), *self.tenants)


class BackendClient(BaseModel):
    """One `[[backend_services]]` table: how this service itself gets a token for a FHIR server.

    SMART Backend Services: a client assertion signed with the private key in `key_file` (PEM or JWK).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    fhir_server: str = Field(min_length=1)
    client_id: str = Field(min_length=1)
    key_file: str = Field(min_length=1)
    key_id: str = Field(min_length=1)
    algorithm: Literal["ES384", "RS384"] = "ES384"
    scope: str = "system/*.rs"
    token_url: str | None = None


class Settings(BaseSettings):
    """All settings of the service, checked one by one; `problems` tells what does not fit together."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    mode: Literal["development", "production"] = "development"
    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(8000, ge=0, le=65535)
    workers: int = Field(2, ge=1, le=64)
    require_client_auth: bool | None = None
    tls_terminated: bool = False
    public_url: str | None = None
    fhir_servers: CommaList = ()
    embedded_fhir_server: str | None = None
    fetch_seconds: float = Field(8, gt=0, le=120, allow_inf_nan=False)
    terminology_server: str | None = None
    terminology_kind: Literal["fhir", "rxnav"] = "fhir"
    terminology_seconds: float = Field(2, gt=0, le=30, allow_inf_nan=False)
    terminology_cache: Path | None = None
    fetches_at_once: int = Field(64, ge=1, le=1024)
    fetch_pages: int = Field(500, ge=1, le=10_000)
    fetch_mb: float = Field(64, gt=0, le=1024, allow_inf_nan=False)
    private_networks: CommaList = ()
    prefetch_include: bool = False
    definition: str = Field("default-configurable", min_length=1)
    definitions_dir: Path | None = None
    cors_origins: CommaList | None = None
    store_url: str | None = None
    quiet_days: int = Field(90, ge=0, le=3650)
    safety_quiet_days: int = Field(1, ge=0, le=3650)
    max_body_mb: float = Field(16, gt=0, le=1024, allow_inf_nan=False)
    max_depth: int = Field(100, ge=10, le=500)
    max_resources: int = Field(50_000, ge=1)
    requests_at_once: int = Field(32, ge=1, le=1024)
    requests_per_minute: int = Field(600, ge=1)
    authenticate_discovery: bool = False
    sandbox_client: bool = False
    auth_leeway_seconds: int = Field(30, ge=0, le=300)
    auth_longest_seconds: int = Field(3600, ge=60, le=86_400)
    key_cache_seconds: int = Field(3600, ge=10, le=86_400)
    key_outage_seconds: int = Field(86_400, ge=0, le=604_800)
    smart_app_url: str | None = None
    cds_hooks_version: Literal["2.0.1", "3.0.0-ballot"] = "2.0.1"
    metrics: bool = True
    log_format: Literal["json", "text"] = "json"
    audit_file: Path | None = None
    tracing: bool = False
    assessment_extension: bool = True
    assume_one_unit_daily: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    clients: tuple[Client, ...] = ()
    backend_services: tuple[BackendClient, ...] = ()

    @property
    def is_production(self) -> bool:
        return self.mode == "production"

    @property
    def needs_client_auth(self) -> bool:
        return self.is_production if self.require_client_auth is None else self.require_client_auth

    @property
    def lets_anyone_call(self) -> bool:
        """No tokens, or tokens that anybody can sign: the private key of the public sandbox is public."""
        return not self.needs_client_auth or self.sandbox_client

    @property
    def base_url(self) -> str:
        """The service's own address without trailing slash."""
        return (self.public_url or self.own_address).rstrip("/")

    @property
    def own_address(self) -> str:
        """Where this process listens, which need not be what clients call."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def allowed_origins(self) -> tuple[str, ...] | None:
        """Browser origins that may call; None means any."""
        if self.cors_origins is None:
            return () if self.is_production else None
        return self.cors_origins

    @property
    def allowed_fhir_servers(self) -> tuple[FhirAddress, ...]:
        names = (*self.fhir_servers, *((self.embedded_fhir_server,) if self.embedded_fhir_server else ()))
        return tuple(address for name in names if (address := read_address(name)) is not None)

    @property
    def allowed_networks(self) -> tuple[IpNetwork, ...]:
        """Networks that are not of the internet and may be called; the machine itself is one in development."""
        named = tuple(ip_network(name) for name in self.private_networks)
        return named if self.is_production else (*LOOPBACK, *named)

    @property
    def max_body_bytes(self) -> int:
        return int(self.max_body_mb * 1024 * 1024)

    @field_validator("fhir_servers", "cors_origins", "private_networks", mode="before")
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("fhir_servers", "embedded_fhir_server", "terminology_server")
    @classmethod
    def _check_addresses(cls, value: Any) -> Any:
        for name in (value,) if isinstance(value, str) else value or ():
            if read_address(name) is None:
                raise ValueError("plain http(s) base addresses without user, query or dots in the path")
        return value

    @field_validator("private_networks")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            try:
                ip_network(name)
            except ValueError:
                raise ValueError("networks such as 10.2.0.0/16, with no bits set after the prefix") from None
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for origin in value or ():
            address = read_address(origin)
            if address is None or address.segments or origin.endswith("/"):
                raise ValueError("origins such as https://ehr.example.org, without path")
        return value

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        if value is not None and read_address(value) is None:
            raise ValueError("a plain http(s) address")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What was given by name wins, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        toml = TomlConfigSettingsSource(settings_cls, toml_file=_config_file())
        return init_settings, env_settings, toml


def load_settings(**given: Any) -> Settings:
    """The settings of this process; `given` (from command line options) wins over all else."""
    _refuse_unknown_variables()
    _refuse_unreadable_file()
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingsError(_describe(error, given)) from None
    problems = find_problems(settings)
    if problems:
        raise SettingsError("; ".join(problems))
    return settings


def find_problems(settings: Settings) -> tuple[str, ...]:
    """Why the service must not start with these settings, though each by itself is valid."""
    problems = [*_client_problems(settings), *_smart_app_problems(settings)]
    if settings.authenticate_discovery and not settings.needs_client_auth:
        problems.append(
            f"{PREFIX}AUTHENTICATE_DISCOVERY: expected with {PREFIX}REQUIRE_CLIENT_AUTH=true only"
        )
    if settings.is_production:
        problems += _production_problems(settings)
    elif settings.lets_anyone_call and not _is_loopback_host(settings.host):
        problems.append(
            f"{PREFIX}HOST: expected a loopback address such as 127.0.0.1 where anybody may call, "
            f"got {settings.host}; else set {PREFIX}REQUIRE_CLIENT_AUTH=true and [[clients]]"
        )
    return tuple(problems)


def _smart_app_problems(settings: Settings) -> list[str]:
    """The address itself is not shown: it may hold a user name and password, which are not wanted either."""
    url = settings.smart_app_url
    if url is None:
        return []
    if not is_launch_address(url) or "@" in urlsplit(url).netloc:
        expected = "an absolute https address (http on this machine) without user, fragment, iss and launch"
    elif settings.is_production and urlsplit(url).scheme != "https":
        expected = "https in production"
    else:
        return []
    return [f"{PREFIX}SMART_APP_URL: expected {expected}"]


def _client_problems(settings: Settings) -> list[str]:
    problems = []
    if settings.needs_client_auth and not settings.clients and not settings.sandbox_client:
        problems.append("clients: client authentication needs at least one [[clients]] table, got none")
    issuers = [client.issuer for client in settings.clients]
    if len(set(issuers)) < len(issuers):
        problems.append("clients: expected one [[clients]] table for each issuer")
    for number, client in enumerate(settings.clients):
        problems += [f"clients.{number}.{problem}" for problem in _problems_of_client(client, settings)]
    return problems


def _problems_of_client(client: Client, settings: Settings) -> list[str]:
    problems = []
    if client.jwks_file is None and client.jku is None:
        problems.append("jku: expected jku or jwks_file")
    if client.jku is not None and not _may_be_fetched(client.jku, settings):
        problems.append("jku: expected a plain https address (http on loopback in development only)")
    for name in client.fhir_servers:
        address = read_address(name)
        if address is None or not any(address.is_at_or_below(base) for base in settings.allowed_fhir_servers):
            problems.append(f"fhir_servers: expected addresses at or below those of the setting, got {name}")
    return problems


def _may_be_fetched(jku: str, settings: Settings) -> bool:
    address = read_address(jku)
    if address is None:
        return False
    return address.scheme == "https" or (address.is_loopback and not settings.is_production)


def _production_problems(settings: Settings) -> list[str]:
    problems = []
    if not settings.needs_client_auth:
        problems.append(f"{PREFIX}REQUIRE_CLIENT_AUTH: production needs client authentication: expected true")
    if settings.sandbox_client:
        problems.append(f"{PREFIX}SANDBOX_CLIENT: expected false in production")
    if settings.public_url is None or not settings.public_url.startswith("https://"):
        problems.append(
            f"{PREFIX}PUBLIC_URL: production needs the https address that clients call: their tokens must name it"
        )
    if not settings.fhir_servers:
        problems.append(f"{PREFIX}FHIR_SERVERS: production needs the list of FHIR servers that may be called")
    if settings.embedded_fhir_server:
        problems.append(f"{PREFIX}EMBEDDED_FHIR_SERVER: expected nothing in production")
    if not settings.tls_terminated:
        problems.append(f"{PREFIX}TLS_TERMINATED: production needs true, with a proxy in front that ends TLS")
    for address in settings.allowed_fhir_servers:
        if not _is_private(address.url):
            problems.append(f"{PREFIX}FHIR_SERVERS: expected https in production, got {address.url}")
    if settings.terminology_server and not _is_private(settings.terminology_server):
        problems.append(
            f"{PREFIX}TERMINOLOGY_SERVER: expected https in production, got {settings.terminology_server}"
        )
    return problems


def _is_loopback_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_private(name: str) -> bool:
    """Whether nobody on the way can read what is sent to this address."""
    address = read_address(name)
    return address is not None and (address.scheme == "https" or address.is_loopback)


def _config_file() -> Path | None:
    name = os.environ.get(CONFIG_VARIABLE)
    return Path(name) if name else None


def _refuse_unknown_variables() -> None:
    known = {
        CONFIG_VARIABLE,
        *(PREFIX + name.upper() for name in Settings.model_fields if name not in _FILE_ONLY),
    }
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise SettingsError(
                f"environment variable {name}: no setting has this name; see docs/settings.md"
            )


def _refuse_unreadable_file() -> None:
    path = _config_file()
    if path is None:
        return
    try:
        tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{CONFIG_VARIABLE}={path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"{path}: expected TOML in UTF-8: {error}") from None


def _describe(error: ValidationError, given: dict[str, Any]) -> str:
    problem = error.errors(include_url=False, include_context=False)[0]
    key = str(problem["loc"][0]) if problem["loc"] else "settings"
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{_origin(key, given)}: {path}: no setting has this name; see docs/settings.md"
    if problem["type"] == "missing":
        return f"{_origin(key, given)}: {path}: required, got nothing"
    value = "(not shown)" if key in _SECRET else repr(problem["input"])
    return (
        f"{_origin(key, given)}: {path}: expected {_expected(problem['type'], problem['msg'])}, got {value}"
    )


def _expected(kind: str, message: str) -> str:
    """What pydantic says was expected, in plain words where it speaks of Python."""
    message = message.removeprefix("Value error, ").removeprefix("Input should be ")
    return _IN_PLAIN_WORDS.get(kind, message.partition(", unable to")[0])


def _origin(key: str, given: dict[str, Any]) -> str:
    if key in given:
        return "command line"
    variable = PREFIX + key.upper()
    return f"environment variable {variable}" if variable in os.environ else str(_config_file() or "settings")
