"""The two files of `idp-config/keycloak`, typed: what Keycloak needs beyond the access file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from scripts.bootstrap.failures import SettingsFailure

if TYPE_CHECKING:
    from pathlib import Path

_PATTERNS_WORD = "REDIRECT_PATTERNS"


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_Kind = TypeVar("_Kind", bound=_File)


class RealmFile(_File):
    """`realm.yaml`: members of Keycloak's realm representation, and the home pages of known clients."""

    realm: dict[str, bool | int | str]
    client_uri_hosts: tuple[str, ...] = ()


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

    def mentions(self, grant: str) -> bool:
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
        SettingsFailure: it cannot be read or does not fit; the text names the file and the place.
    """
    return _load(folder / "realm.yaml", RealmFile)


def load_client_policies_file(folder: Path) -> ClientPoliciesFile:
    """Read `client-policies.yaml` in `folder`.

    Raises:
        SettingsFailure: it cannot be read or does not fit; the text names the file and the place.
    """
    return _load(folder / "client-policies.yaml", ClientPoliciesFile)


def _load(path: Path, kind: type[_Kind]) -> _Kind:
    try:
        return kind.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsFailure(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsFailure(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsFailure(f"{path}: {' '.join(str(error).split())}") from error
