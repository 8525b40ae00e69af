"""A repository that was opened: its files, its Git, its drivers and its ledgers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mlops import __version__, drivers
from mlops.clock import Clock, SystemClock
from mlops.driver import Blobs, Driver, Scope
from mlops.errors import Diagnostic, InvalidRepository, NotFound, did_you_mean
from mlops.git import GitRepository, Revision
from mlops.ledger import Ledger
from mlops.loader import load
from mlops.plan.wanted import Target
from mlops.resolve import ComputeType, Repository, Resolved, resolve
from mlops.resource import JSON, SHARED

MakeDriver = Callable[[str, Scope], Driver]
PRIVATE = ".mlops"
"""The folder of caches and local objects; ours, and never in Git."""


class ComputeTypes(Mapping[str, ComputeType]):
    """What each compute type accepts; a driver is imported when its type is looked up."""

    def __getitem__(self, name: str) -> ComputeType:
        """Import the driver."""
        try:
            driver = drivers.load(name)
        except NotFound as error:
            raise KeyError(name) from error
        return ComputeType(lambda: driver.Spec, driver.refused, driver.traffic.value, __version__)

    def __iter__(self) -> Iterator[str]:
        """Names of all types."""
        return iter(drivers.names())

    def __len__(self) -> int:
        """How many there are."""
        return len(drivers.names())


@dataclass(frozen=True)
class StageScope:
    """The drivers and the ledger of one stage, or of `shared`.

    Attributes:
        stage: The stage.
        drivers: By name: a compute's name, or "registry".
        ledger: Its ledger.
    """

    stage: str
    drivers: Mapping[str, Driver]
    ledger: Ledger

    @property
    def targets(self) -> dict[str, Target]:
        """What planning knows of the drivers."""
        return {name: Target(driver.rules, driver.traffic) for name, driver in self.drivers.items()}


@dataclass(frozen=True)
class Workspace:
    """A repository that was opened.

    Attributes:
        root: The folder of `mlops.yaml`.
        git: The Git repository around it.
        revision: What was checked out when it was opened.
        repository: The declared documents.
        clock: Time.
        make_driver: Makes a driver from its type and scope.
    """

    root: Path
    git: GitRepository
    revision: Revision
    repository: Repository
    clock: Clock = field(default_factory=SystemClock)
    make_driver: MakeDriver = drivers.make

    @cached_property
    def compute_types(self) -> ComputeTypes:
        """What each compute type accepts."""
        return ComputeTypes()

    @property
    def project(self) -> str:
        """The project's id."""
        return self.repository.project_id

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the declared stages."""
        return tuple(self.repository.stages)

    def stage_options(self, stage: str) -> Mapping[str, JSON]:
        """The declaration of a stage.

        Raises:
            NotFound: It is not declared.
        """
        if stage == SHARED:
            return {}
        options = self.repository.stages.get(stage)
        if options is None:
            raise NotFound(
                Diagnostic(
                    "No such stage",
                    f'mlops.yaml declares no stage "{stage}". {did_you_mean(stage, self.stages)}'.rstrip(),
                    todo=f"Declared stages are {', '.join(self.stages) or 'none'}.",
                )
            )
        return options

    def resolved(self, stage: str) -> Resolved:
        """What is declared for a stage.

        Raises:
            InvalidRepository: With every problem.
        """
        self.stage_options(stage)
        return resolve(self.repository, stage, self.compute_types)

    def targets(self) -> dict[str, Target]:
        """What planning knows of every declared compute and of the registry, without asking any of them."""
        types = {name: str(options["type"]) for name, options in self.repository.computes.items()}
        types[drivers.REGISTRY] = drivers.REGISTRY
        classes = {name: drivers.load(type_name) for name, type_name in types.items()}
        return {name: Target(driver.rules, driver.traffic) for name, driver in classes.items()}

    @cached_property
    def registry(self) -> Driver:
        """The driver of models and environments."""
        scope = Scope(self.project, SHARED, drivers.REGISTRY, self.root, self.repository.registry)
        return self.make_driver(drivers.REGISTRY, scope)

    @property
    def blobs(self) -> Blobs:
        """Content by digest, as the registry keeps it."""
        blobs: Blobs = self.registry.blobs  # type: ignore[attr-defined] # every registry has them
        return blobs

    def compute(self, stage: str, name: str) -> Driver:
        """Make the driver of a compute for a stage.

        Raises:
            NotFound: The compute is not declared.
        """
        options = self.repository.computes.get(name)
        if options is None:
            raise NotFound(
                Diagnostic(
                    "No such compute",
                    f'mlops.yaml declares no compute "{name}", and objects of stage {stage} live on it.',
                    todo="Declare it again, delete what lives on it with an apply, and remove it then.",
                )
            )
        rest = {key: value for key, value in options.items() if key != "type"}
        scope = Scope(self.project, stage, name, self.root, rest, self.blobs)
        return self.make_driver(str(options["type"]), scope)

    def ledger(self, stage: str, *, local: bool) -> Ledger:
        """The ledger of a stage; one that is all local stays in this clone."""
        remote = self.repository.ledger.get("remote")
        name = remote if isinstance(remote, str) and not local else None
        return Ledger.open(self.git, stage, project=self.project, remote=name, clock=self.clock)

    def shared(self) -> StageScope:
        """The scope of models and environments."""
        registry = self.registry
        return StageScope(SHARED, {drivers.REGISTRY: registry}, self.ledger(SHARED, local=registry.is_local))

    def stage(self, stage: str, declared: Resolved) -> StageScope:
        """The scope of a stage: the computes that it declares, and those that its ledger knows objects on."""
        computes = {r.driver for r in declared.resources} or set(self.repository.computes)
        types = {str(self.repository.computes[name]["type"]) for name in computes}
        local = all(drivers.load(t).is_local for t in types)
        ledger = self.ledger(stage, local=local)
        ledger.refresh()
        state = ledger.state()
        known = {*state.applied, *state.rollouts, *state.intended}
        names = {r.driver for r in declared.resources} | {a.compute for a in known if a.compute}
        return StageScope(stage, {name: self.compute(stage, name) for name in sorted(names)}, ledger)


def find_root(directory: Path) -> Path:
    """The nearest folder with an `mlops.yaml`, from a directory upward.

    Raises:
        InvalidRepository: There is none.
    """
    directory = directory.resolve()
    for folder in (directory, *directory.parents):
        if (folder / "mlops.yaml").is_file():
            return folder
    raise InvalidRepository(
        Diagnostic(
            "No mlops.yaml",
            f"There is no mlops.yaml in {directory} or above it.",
            todo="Go to your repository, name it with -C, or make a new one:",
            command="mlops init DIR",
        )
    )


def open_git(root: Path) -> tuple[GitRepository, Revision]:
    """The Git repository around a root, and what is checked out.

    Raises:
        InvalidRepository: It is no Git repository, or it tracks files under `.mlops/`, which would be believed.
    """
    git = GitRepository.open(root)
    inside = root.relative_to(git.root).as_posix() if root != git.root else ""
    survey = git.survey(f"{inside}/{PRIVATE}" if inside else PRIVATE)
    if survey.tracked:
        raise InvalidRepository(
            Diagnostic(
                "Files under .mlops/ are tracked",
                f"Git tracks {survey.tracked[0]}; what stands there would be trusted as a cache.",
                todo="Take them out of Git and ignore the folder:",
                command=f"git rm -r --cached {PRIVATE} && echo {PRIVATE}/ >> .gitignore",
            )
        )
    return git, survey.revision


def open_workspace(directory: Path, *, make_driver: MakeDriver = drivers.make, clock: Clock | None = None) -> Workspace:
    """Open the repository around a directory.

    Raises:
        InvalidRepository: With every problem of its files.
    """
    root = find_root(directory)
    git, revision = open_git(root)
    repository = load(root, compute_types=ComputeTypes())
    return Workspace(root, git, revision, repository, clock or SystemClock(), make_driver)
