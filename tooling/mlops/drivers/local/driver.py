"""Endpoints as processes on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mlops.driver import Answer, Blobs, Collected, Keys, KeyType, Scope, Token
from mlops.drivers.local import admin, process
from mlops.drivers.local.configuration import Document, Sources, Target, make_document
from mlops.drivers.local.folders import Folders, exclusive
from mlops.drivers.local.home import Home, is_foreign, lock_of, make_home, names, read_document, read_home, remove_home
from mlops.drivers.local.ports import DEFAULT_PORTS, parse_ports
from mlops.drivers.local.rules import REFUSED, RULES
from mlops.drivers.local.status import address_of, outputs_of, stamp_of, to_observed, to_silent
from mlops.drivers.local.watching import mapping
from mlops.errors import Diagnostic, NotFound, TargetError
from mlops.resource import JSON, Address, FieldRule, Kind, Observed, Resource, Stamp, TrafficSupport

if TYPE_CHECKING:
    from pydantic import BaseModel


class _OnUse:
    """The options' schema, loaded when it is asked for: planning does not need pydantic."""

    def __get__(self, instance: object, owner: type | None = None) -> type[BaseModel]:
        from mlops.drivers.local.options import LocalOptions  # noqa: PLC0415 - see above

        return LocalOptions


class LocalDriver:
    """One supervisor an endpoint, which outlives the command; see `mlops.drivers.local`."""

    if TYPE_CHECKING:
        Spec: ClassVar[type[BaseModel]]
    else:
        Spec = _OnUse()

    rules: ClassVar[tuple[FieldRule, ...]] = RULES
    traffic: ClassVar[TrafficSupport] = TrafficSupport.WEIGHTED
    is_local: ClassVar[bool] = True
    refused: ClassVar[Mapping[str, str]] = REFUSED

    def __init__(self, scope: Scope) -> None:
        """Touch nothing yet.

        Args:
            scope: Its root holds `.mlops/`; its name is the compute's.
        """
        self._scope = scope
        self._folders = Folders(scope.root, scope.name)
        self._ports = parse_ports(str(scope.options.get("ports", DEFAULT_PORTS)))

    def observe(self, only: frozenset[Address] | None = None) -> Iterable[Observed]:
        """Every endpoint whose supervisor lives; one listing, and one question to each, all at once.

        A folder in our place that holds other files is given without a stamp.
        """
        found = names(self._folders)
        if only is not None:
            wanted = {_name(address) for address in only if address.compute == self._scope.name}
            found = [name for name in found if name in wanted]
        homes = {name: home for name in found if (home := read_home(self._folders, name)) is not None}
        said = admin.statuses(list(homes.values()))
        return list(self._observed(found, homes, said))

    def _observed(
        self, found: list[str], homes: Mapping[str, Home], said: Mapping[str, Mapping[str, JSON] | None]
    ) -> Iterator[Observed]:
        for name in found:
            home = homes.get(name)
            if home is None:
                if is_foreign(self._folders, name):
                    yield Observed(address_of(name, self._scope.name), {}, None)
            elif name in said:
                answer = said[name]
                if answer is None:
                    yield to_silent(home, self._scope.name, read_document(home))
                else:
                    yield to_observed(home, self._scope.name, answer)

    def _is_ours(self, stamp: Stamp) -> bool:
        return stamp.project == self._scope.project and stamp.stage == self._scope.stage

    def put(self, resource: Resource, stamp: Stamp) -> Mapping[str, str]:
        """Make its content available, and have its supervisor serve it; nothing happens where it does already.

        Raises:
            TargetError: Content is missing, a virtual environment cannot be made, the port is taken, or the disk fails.
        """
        name = _name(resource.address)
        with _disk_failures(resource.address), exclusive(lock_of(self._folders, name)):
            home = make_home(self._folders, name, self._ports)
            return outputs_of(home, self._put(home, resource, stamp))

    def _put(self, home: Home, resource: Resource, stamp: Stamp) -> Document:
        answer = admin.statuses([home]).get(home.name, {})
        if answer is None:
            raise process.silent(home)
        live = mapping(answer.get("configuration"))
        self._refuse_foreign(resource.address, live)
        tls = self._tls(resource, live or read_document(home))
        document = make_document(
            Target(home.name, home.port, resource.spec, stamp, self._folders.collected, tls),
            live or {"aliases": read_document(home).get("aliases")},
            lambda deployment: self._prepare(home, resource, deployment),
        )
        if live == document:
            return document
        if not live:
            if process.start(home, document, self._supervisor()):
                return document
            process.await_answer(home)
        from mlops.drivers.local.changing import change  # noqa: PLC0415 - loads what only a put needs

        change(home, document, self._supervisor)
        return document

    def _tls(self, resource: Resource, live: Document) -> Mapping[str, str]:
        declared = mapping(resource.spec.get("tls"))
        if not declared:
            return {}
        from mlops.drivers.local.certificates import locate, located  # noqa: PLC0415 - few endpoints have one

        return located(declared, live) or locate(declared, self._scope.root)

    def _supervisor(self) -> Path:
        from mlops.drivers.local.environments import ensure_supervisor  # noqa: PLC0415 - loads what only a put needs

        return ensure_supervisor(self._folders)

    def _prepare(self, home: Home, resource: Resource, deployment: Mapping[str, JSON]) -> Sources:
        from mlops.drivers.local.monitoring import check_connection  # noqa: PLC0415 - loads what only a put needs
        from mlops.drivers.local.prepare import prepare  # noqa: PLC0415 - as above

        check_connection(home, deployment)
        return prepare(self._folders, self._blobs(), self._scope.root, resource.artifacts, deployment)

    def _blobs(self) -> Blobs:
        if self._scope.blobs is None:
            raise TargetError(
                Diagnostic("No registry", "Content comes from a registry's blobs, and none is given to this compute.")
            )
        return self._scope.blobs

    def delete(self, address: Address) -> None:
        """End the supervisor after the requests under way, and remove the endpoint's folder, its port with it.

        Raises:
            TargetError: It is not ours, or does not end.
        """
        name = _name(address)
        if name not in names(self._folders):
            return
        with _disk_failures(address), exclusive(lock_of(self._folders, name)):
            home = read_home(self._folders, name)
            if home is None:
                if is_foreign(self._folders, name):
                    raise _not_ours(address, f"{self._folders.endpoints / name} is not a folder of this toolkit.")
                return
            if process.is_alive(home):
                self._refuse_foreign(address, read_document(home))
                process.stop(home)
            remove_home(home)

    def score(self, address: Address, body: bytes, deployment: str | None = None) -> Answer:
        """Send one request: as a client would, or to a deployment by its live or its declared name.

        Raises:
            NotFound: There is no such endpoint or deployment.
            TargetError: Nothing answered.
        """
        from mlops.drivers.local.scoring import score  # noqa: PLC0415 - loads a client that planning does not need

        return score(self._home(address), address, body, deployment)

    def describe(self, address: Address, deployment: str, version: str) -> Answer:
        """The OpenAPI document of a live deployment.

        Raises:
            NotFound: There is no such endpoint.
            TargetError: Nothing answered.
        """
        from mlops.drivers.local import guarding  # noqa: PLC0415 - as above

        return guarding.describe(self._home(address), address, deployment, version)

    def keys(self, address: Address) -> Keys:
        """Both keys of an endpoint.

        Raises:
            NotFound: There is no such endpoint.
            TargetError: Nothing answered.
        """
        from mlops.drivers.local import guarding  # noqa: PLC0415 - as above

        return guarding.keys(self._home(address), address)

    def regenerate(self, address: Address, key: KeyType, *, revoke: bool = False) -> None:
        """Make one secret anew.

        Raises:
            NotFound: There is no such endpoint.
            TargetError: Nothing answered, or it cannot be kept.
        """
        from mlops.drivers.local import guarding  # noqa: PLC0415 - as above

        guarding.regenerate(self._home(address), address, key, revoke=revoke)

    def token(self, address: Address) -> Token:
        """A new token.

        Raises:
            NotFound: There is no such endpoint.
            TargetError: Nothing answered.
        """
        from mlops.drivers.local import guarding  # noqa: PLC0415 - as above

        return guarding.token(self._home(address), address)

    def logs(self, address: Address, deployment: str | None, lines: int) -> Iterable[str]:
        """The last lines of the logs of a deployment's workers, or of all and the supervisor's.

        Raises:
            NotFound: There is no such endpoint.
        """
        from mlops.drivers.local.logs import tail  # noqa: PLC0415 - planning reads no logs

        home = self._home(address)
        if deployment is None:
            return tail(home, None, lines)
        deployments = mapping(mapping(mapping(read_document(home).get("stamp")).get("spec")).get("deployments"))
        live = [name for name, value in deployments.items() if mapping(value).get("deployment") == deployment]
        return tail(home, (deployment, *live), lines)

    def collected(self, address: Address) -> Path:
        """The folder of an endpoint's collected data."""
        return self._folders.collected / _name(address)

    def counted(self, addresses: frozenset[Address]) -> Mapping[Address, Mapping[str, Collected]]:
        """What the deployments of some endpoints have collected; one question to each supervisor, all at once."""
        from mlops.drivers.local.counting import read_collected  # noqa: PLC0415 - planning counts nothing

        homes = {a: home for a in addresses if (home := read_home(self._folders, _name(a))) is not None}
        said = admin.metrics(list(homes.values()))
        return {a: read_collected(said[home.name]) for a, home in homes.items() if home.name in said}

    def _home(self, address: Address) -> Home:
        home = read_home(self._folders, _name(address))
        if home is None:
            raise NotFound(
                Diagnostic("No such endpoint", f"{address} was not applied on this machine.", todo="Apply its stage.")
            )
        return home

    def _refuse_foreign(self, address: Address, document: Document) -> None:
        if not document:
            return
        stamp = stamp_of(document)
        if stamp is None:
            raise _not_ours(address, "It has no stamp of this toolkit.")
        if not self._is_ours(stamp):
            raise _not_ours(address, f"It belongs to stage {stamp.stage} of project {stamp.project}.")


def _name(address: Address) -> str:
    if address.kind is not Kind.ENDPOINT:
        raise TargetError(Diagnostic("Not an endpoint", f"A local compute serves endpoints, and {address} is none."))
    name = address.name.rpartition("@")[0] or address.name
    if name.startswith(".") or "/" in name or "\0" in name:
        raise TargetError(Diagnostic("Not an endpoint's name", f"{address} cannot be the name of a folder."))
    return name


def _not_ours(address: Address, detail: str) -> TargetError:
    return TargetError(
        Diagnostic("Object is not ours", f"{address}: {detail}", todo="Name the endpoint or the compute otherwise.")
    )


@contextmanager
def _disk_failures(address: Address) -> Iterator[None]:
    """Say a failure of the disk as the target's: no space, no permission, no such folder any more."""
    try:
        yield
    except OSError as error:
        where = f" {error.filename}:" if error.filename else ""
        raise TargetError(
            Diagnostic(
                "Cannot write",
                f"{address}:{where} {error.strerror or error}.",
                todo="Make room or mend the permissions, and apply again; nothing that served was touched.",
            )
        ) from error
