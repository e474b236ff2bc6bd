"""A realm in memory with the part of Keycloak's admin API that the bootstrap uses, for tests of many applies.

What Keycloak 26.7.5 does beyond storing (new clients get the realm's scope lists, a deleted scope leaves all clients,
a write of attributes replaces a realm's and merges a client's) is done here too.
tests/integration/test_several_servers.py runs the same steps on a real one.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
_LISTS = ("default", "optional")
_BUILT_IN = ("basic", "email", "profile", "offline_access")


class Interrupted(Exception):
    """The connection broke before a write."""


class FakeRealm:
    """A realm that `AdminClient`'s callers can read and write.

    Attributes:
        writes: the number of writes so far.
        before_write: called before each write; may raise `Interrupted`.
        after_write: called after each write.
    """

    def __init__(self) -> None:
        self._number = count(1)
        self.realm: Json = {}
        self.roles: dict[str, Json] = {}
        self.scopes: dict[str, Json] = {}
        self.bindings: dict[str, set[str]] = {}
        self.lists: dict[str, set[str]] = {}
        self.clients: dict[str, Json] = {}
        self.users: dict[str, Json] = {}
        self.groups: dict[str, Json] = {}
        self.components: dict[str, Json] = {}
        self.policies: dict[str, list[Json]] = {"profiles": [], "policies": []}
        self.messages: dict[str, dict[str, str]] = {}
        self.writes = 0
        self.before_write: Callable[[], None] = lambda: None
        self.after_write: Callable[[], None] = lambda: None

    def _id(self) -> str:
        return f"id-{next(self._number)}"

    def create_realm(self, body: Json) -> None:
        self.realm = {**body, "id": "realm", "defaultRole": {"name": "default-roles"}, "accessTokenLifespan": 300}
        self.roles["default-roles"] = {"id": self._id(), "name": "default-roles"}
        for name in _BUILT_IN:
            self.scopes[name] = {"id": self._id(), "name": name, "protocol": "openid-connect"}
            self.bindings[name] = set()
        self.lists = {"default": {"basic", "email", "profile"}, "optional": {"offline_access"}}

    def register(self, scope: str | None = None) -> str | None:
        """Registers a client as Keycloak does (RFC 7591); returns its id, or None if a scope is not allowed."""
        number = self._id()
        lists = {kind: sorted(names) for kind, names in self.lists.items()}
        if scope is not None:
            policy = next((c for c in self.components.values() if c["providerId"] == "allowed-client-templates"), {})
            allowed = set((policy.get("config") or {}).get("allowed-client-scopes", ())) | self.lists["default"]
            if not set(scope.split()) <= allowed:
                return None
            lists = {"default": ["basic"], "optional": scope.split()}
        self._add_client({"clientId": number, "consentRequired": True, **_scope_members(lists)}, number)
        return number

    def _add_client(self, body: Json, number: str) -> None:
        lists = {kind: sorted(names) for kind, names in self.lists.items()}
        self.clients[body["clientId"]] = {**_scope_members(lists), **deepcopy(body), "id": number}

    # Reads ------------------------------------------------------------------------------------------------------------

    def find(self, *path: str, **query: str) -> Any:
        try:
            return self.get(*path, **query)
        except KeyError:
            return None

    def get(self, *path: str, **query: str) -> Any:
        """Answers a read; raises KeyError where Keycloak responds 404."""
        return deepcopy(self._read(path, query))

    def _read(self, path: tuple[str, ...], query: dict[str, str]) -> Any:  # noqa: C901, PLR0911, PLR0912 - one case a path
        match path:
            case ():
                return self.realm or _missing("realm")
            case ("client-scopes",):
                return list(self.scopes.values())
            case ("client-scopes", number, "scope-mappings"):
                return {"realmMappings": [self.roles[role] for role in sorted(self.bindings[self._scope(number)])]}
            case ("roles",):
                return list(self.roles.values())
            case ("roles", name):
                return self.roles[name]
            case ("roles", name, "composites"):
                return [] if name in self.roles else _missing(name)
            case ("clients",) if "clientId" in query:
                return [c for c in self.clients.values() if c["clientId"] == query["clientId"]]
            case ("clients",):
                first, most = int(query.get("first", 0)), int(query.get("max", 100))
                return [self.clients[name] for name in sorted(self.clients)][first : first + most]
            case ("clients", number, "service-account-user"):
                return self.users[f"service-account-{self._client(number)}"]
            case ("default-default-client-scopes",) | ("default-optional-client-scopes",):
                kind = path[0].split("-")[1]
                return [self.scopes[name] for name in sorted(self.lists[kind])]
            case ("components",):
                return list(self.components.values())
            case ("localization", language):
                return self.messages.get(language, {})
            case ("keys",):
                return {"active": {c["name"].removeprefix("mcp-").upper(): "x" for c in self.components.values()}}
            case ("client-policies", kind):
                return {kind: self.policies[kind]}
            case ("users",) if "username" in query:
                return [user for name, user in self.users.items() if name == query["username"]]
            case ("users",):
                return [user for user in self.users.values() if query.get("email", "") in user.get("email", "")]
            case ("users", number, "role-mappings", "realm"):
                return [self.roles[name] for name in sorted(self._user(number)["roles"])]
            case ("users", number, "groups"):
                return [self.groups[name] for name in sorted(self._user(number)["groups"])]
            case ("groups", "count"):
                return {"count": len(self.groups)}
            case ("group-by-path", name):
                return self.groups[name]
            case ("groups", number, "members"):
                name = self._group(number)
                return [user for user in self.users.values() if name in user["groups"]]
        return _missing(path)

    # Writes -----------------------------------------------------------------------------------------------------------

    def write(self, method: str, path: tuple[str, ...], body: Any = None) -> None:
        """Does a write; raises KeyError where Keycloak responds 404."""
        self.before_write()
        self._write(method, path, deepcopy(body))
        self.writes += 1
        self.after_write()

    def _write(self, method: str, path: tuple[str, ...], body: Any) -> None:  # noqa: C901, PLR0912, PLR0915 - one case a path
        match (method, *path):
            case ("PUT",):
                self.realm.update(body)
            case ("POST", "roles"):
                self.roles[body["name"]] = {**body, "id": self._id()}
            case ("PUT", "roles", name):
                self.roles[name].update(body)
            case ("DELETE", "roles", name):
                del self.roles[name]
                for holder in (*self.users.values(), *self.groups.values()):
                    holder["roles" if "username" in holder else "realmRoles"].discard(name)
                for bound in self.bindings.values():
                    bound.discard(name)
            case ("POST", "client-scopes"):
                mappers = [{**mapper, "id": self._id()} for mapper in body.get("protocolMappers", [])]
                self.scopes[body["name"]] = {**body, "id": self._id(), "protocolMappers": mappers}
                self.bindings[body["name"]] = set()
            case ("PUT", "client-scopes", number, "protocol-mappers", "models", mapper):
                found = self.scopes[self._scope(number)]
                found["protocolMappers"] = [body if m["id"] == mapper else m for m in found["protocolMappers"]]
            case ("PUT", "client-scopes", number):
                self.scopes[self._scope(number)].update(body)
            case ("DELETE", "client-scopes", number):
                self._delete_scope(self._scope(number))
            case (_, "client-scopes", number, "scope-mappings", "realm"):
                _change(self.bindings[self._scope(number)], method, [role["name"] for role in body])
            case (_, ("default-default-client-scopes" | "default-optional-client-scopes") as which, number):
                _change(self.lists[which.split("-")[1]], method, [self._scope(number)])
            case ("POST", "clients"):
                self._add_client(body, self._id())
                if body.get("serviceAccountsEnabled"):
                    self._add_user({"username": f"service-account-{body['clientId']}"})
            case ("PUT", "clients", number):
                found = self.clients[self._client(number)]
                found.update({**body, "attributes": {**found.get("attributes", {}), **body.get("attributes", {})}})
            case ("DELETE", "clients", number):
                del self.clients[self._client(number)]
            case (_, "clients", number, ("default-client-scopes" | "optional-client-scopes") as which, scope):
                member = f"{which.split('-')[0]}ClientScopes"
                found = self.clients[self._client(number)]
                names = set(found[member])
                _change(names, method, [self._scope(scope)])
                found[member] = sorted(names)
            case ("POST", "clients", _, "registration-access-token"):
                pass
            case ("POST", "users"):
                self._add_user(body)
            case ("PUT", "users", number):
                self._user(number).update(body)
            case ("DELETE", "users", number):
                del self.users[self._user(number)["username"]]
            case (_, "users", number, "role-mappings", "realm"):
                _change(self._user(number)["roles"], method, [role["name"] for role in body])
            case (_, "users", number, "groups", group):
                _change(self._user(number)["groups"], method, [self._group(group)])
            case ("POST", "groups"):
                self.groups[body["name"]] = {**body, "id": self._id(), "realmRoles": set()}
            case ("PUT", "groups", number):
                self.groups[self._group(number)].update(body)
            case ("DELETE", "groups", number):
                name = self._group(number)
                del self.groups[name]
                for user in self.users.values():
                    user["groups"].discard(name)
            case (_, "groups", number, "role-mappings", "realm"):
                _change(self.groups[self._group(number)]["realmRoles"], method, [role["name"] for role in body])
            case ("POST", "components"):
                number = self._id()
                self.components[number] = {"subType": "", **body, "id": number}
            case ("PUT", "components", number):
                found = self.components[number]
                found["config"] = {**found["config"], **body["config"]}
            case ("PUT", "client-policies", kind):
                self.policies[kind] = body[kind]
            case ("POST", "localization", language):
                self.messages.setdefault(language, {}).update(body)
            case ("DELETE", "localization", language, key):
                del self.messages[language][key]
            case _:
                raise AssertionError(f"unexpected write: {method} {path}")

    def _add_user(self, body: Json) -> None:
        self.users[body["username"]] = {**body, "id": self._id(), "roles": set(), "groups": set()}

    def _delete_scope(self, name: str) -> None:
        del self.scopes[name], self.bindings[name]
        for names in self.lists.values():
            names.discard(name)
        for client in self.clients.values():
            for kind in _LISTS:
                member = f"{kind}ClientScopes"
                client[member] = [other for other in client[member] if other != name]

    def _scope(self, number: str) -> str:
        return _by_id(self.scopes, number)

    def _client(self, number: str) -> str:
        return _by_id(self.clients, number)

    def _group(self, number: str) -> str:
        return _by_id(self.groups, number)

    def _user(self, number: str) -> Json:
        return self.users[_by_id(self.users, number)]


def _by_id(objects: dict[str, Json], number: str) -> str:
    return next((name for name, found in objects.items() if found["id"] == number), None) or _missing(number)


def _missing(what: object) -> Any:
    raise KeyError(what)


def _change(names: set[str], method: str, changed: list[str]) -> None:
    if method == "DELETE":
        names.difference_update(changed)
    else:
        names.update(changed)


def _scope_members(lists: dict[str, list[str]]) -> Json:
    return {f"{kind}ClientScopes": names for kind, names in lists.items()}
