"""The two files of `idp-config/keycloak`, typed: what Keycloak needs beyond the access file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mcp_idp.access.diagnostics import format_validation_error
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.resources.realm import Localization, SigningAlgorithm
from mcp_idp.util import strict_yaml

if TYPE_CHECKING:
    from pathlib import Path

_PATTERNS_WORD = "REDIRECT_PATTERNS"


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_Model = TypeVar("_Model", bound=_File)


class RealmFile(_File):
    """`realm.yaml`: members of Keycloak's realm representation, keys, texts, and the home pages of known clients.

    Attributes:
        signing_keys: algorithms that the realm shall have an active key for.
        messages: texts of pages, by language and the theme's key.
    """

    realm: dict[str, bool | int | str]
    signing_keys: tuple[SigningAlgorithm, ...] = ()
    messages: Localization = Field(default_factory=dict)
    client_uri_hosts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _tokens_can_be_checked(self) -> Self:
        """A shared secret (HS256) would sign tokens that only Keycloak itself could check."""
        chosen = self.realm.get("defaultSignatureAlgorithm")
        if chosen is not None and chosen not in self.signing_keys:
            raise ValueError(f"realm.defaultSignatureAlgorithm: {chosen} is none of signing_keys")
        return self


class _Executor(_File):
    executor: str
    configuration: dict[str, Any]


class _Profile(_File):
    name: str
    description: str
    executors: list[_Executor]


class _Condition(_File):
    condition: str
    configuration: dict[str, Any]


class _Policy(_File):
    name: str
    description: str
    enabled: bool
    conditions: list[_Condition]
    profiles: list[str]


class ClientPoliciesFile(_File):
    """`client-policies.yaml`: profiles and policies as Keycloak's admin API takes them."""

    profiles: list[_Profile]
    policies: list[_Policy]

    def references_grant(self, grant: str) -> bool:
        """Whether a condition on grant types names this one."""
        conditions = (condition for policy in self.policies for condition in policy.conditions)
        return any(grant in condition.configuration.get("grant_types", []) for condition in conditions)

    def profiles_with(self, patterns: list[str]) -> list[dict[str, Any]]:
        """The profiles, the redirect patterns filled in."""
        profiles = [profile.model_dump() for profile in self.profiles]
        for profile in profiles:
            for executor in profile["executors"]:
                configuration = executor["configuration"]
                for name, value in configuration.items():
                    if value == _PATTERNS_WORD:
                        configuration[name] = patterns
        return profiles


def load_realm_file(folder: Path) -> RealmFile:
    """Read `realm.yaml` in `folder`.

    Raises:
        ConfigError: it cannot be read or does not fit; the text names the file and the place.
    """
    return _load(folder / "realm.yaml", RealmFile)


def load_client_policies_file(folder: Path) -> ClientPoliciesFile:
    """Read `client-policies.yaml` in `folder`.

    Raises:
        ConfigError: it cannot be read or does not fit; the text names the file and the place.
    """
    return _load(folder / "client-policies.yaml", ClientPoliciesFile)


def _load(path: Path, kind: type[_Model]) -> _Model:
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        return kind.model_validate(strict_yaml.loads(text))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {format_validation_error(error, kind, text)}") from error
    except (strict_yaml.StrictYamlError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
