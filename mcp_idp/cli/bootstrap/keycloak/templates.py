"""Models and loaders of `realm.yaml` and `client-policies.yaml`: Keycloak settings beyond the access file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mcp_idp.access.diagnostics import format_validation_error
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.resources.realm import Localization, SigningAlgorithm
from mcp_idp.util import strict_yaml

if TYPE_CHECKING:
    from pathlib import Path

_PATTERNS_PLACEHOLDER = "REDIRECT_PATTERNS"


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_Model = TypeVar("_Model", bound=_File)


class RealmFile(_File):
    """The content of `realm.yaml`.

    Attributes:
        realm: members of Keycloak's realm representation.
        signing_keys: algorithms for which the realm must have an active key.
        messages: texts of Keycloak's pages, by language and then by the theme's message key.
        client_uri_hosts: hosts that known clients name as their home page (`client_uri`, RFC 7591 section 2).
    """

    realm: dict[str, bool | int | str]
    signing_keys: tuple[SigningAlgorithm, ...] = ()
    messages: Localization = Field(default_factory=dict)
    client_uri_hosts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _tokens_can_be_checked(self) -> Self:
        """Rejects a default algorithm that is not in `signing_keys`.

        With a shared secret (HS256) only Keycloak itself could verify the tokens.
        """
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
    """The content of `client-policies.yaml`: client profiles and policies in the admin API's representation."""

    profiles: list[_Profile]
    policies: list[_Policy]

    def references_grant(self, grant: str) -> bool:
        """Checks whether a `grant-type` condition of any policy lists the grant type `grant`."""
        conditions = (condition for policy in self.policies for condition in policy.conditions)
        return any(grant in condition.configuration.get("grant_types", []) for condition in conditions)

    def profiles_with(self, patterns: list[str]) -> list[dict[str, Any]]:
        """Returns the profiles with the placeholder REDIRECT_PATTERNS replaced.

        Args:
            patterns: regular expressions that redirect URIs must match.

        Returns:
            New profile representations.
        """
        profiles = [profile.model_dump() for profile in self.profiles]
        for profile in profiles:
            for executor in profile["executors"]:
                configuration = executor["configuration"]
                for name, value in configuration.items():
                    if value == _PATTERNS_PLACEHOLDER:
                        configuration[name] = patterns
        return profiles


def load_realm_file(folder: Path) -> RealmFile:
    """Reads and validates `realm.yaml` in `folder`.

    Raises:
        ConfigError: the file cannot be read or is invalid; the text names the file and the position.
    """
    return _load(folder / "realm.yaml", RealmFile)


def load_client_policies_file(folder: Path) -> ClientPoliciesFile:
    """Reads and validates `client-policies.yaml` in `folder`.

    Raises:
        ConfigError: the file cannot be read or is invalid; the text names the file and the position.
    """
    return _load(folder / "client-policies.yaml", ClientPoliciesFile)


def _load(path: Path, kind: type[_Model]) -> _Model:
    data, text = None, ""
    try:
        text = path.read_text(encoding="utf-8")
        data = strict_yaml.loads(text)
        return kind.model_validate(data)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {format_validation_error(data, kind, text)}") from error
    except (strict_yaml.StrictYamlError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
