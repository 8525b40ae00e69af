"""`mlops history`: who did what, when and why; and what served at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import TypeAlias, assert_never

from mlops import drivers
from mlops.errors import Diagnostic, NotFound, did_you_mean
from mlops.git import Revision
from mlops.ledger import Ledger, Moment, Outcome, Record, State
from mlops.ledger.clock import from_text
from mlops.ledger.record import RecordedResult
from mlops.pipeline.workspace import Workspace
from mlops.reports.history import Entry
from mlops.reports.moment import Past, Served
from mlops.reports.values import short, time_text
from mlops.resource import JSON, SHARED, Address, Event, Kind, Spec
from mlops.rollout import DECLARED_NAME

_MINOR = frozenset({Event.STARTED, Event.STEP})
"""Events that say little to somebody who asks what happened: the record that ends the run says it again."""

_SETTLED = frozenset({Outcome.DONE, Outcome.FAILED})
"""How a change ended where its goal is what serves now; a failed one has the goal that was put back, if any was."""

Look: TypeAlias = "Callable[[str], Spec | None]"
"""Finds a spec by its digest."""


def ledger_of(workspace: Workspace, stage: str) -> Ledger:
    """The ledger of a stage, without asking any target.

    Raises:
        NotFound: The stage is not declared.
        MlopsError: The ledger's remote cannot be reached.
    """
    workspace.stage_options(stage)
    if stage == SHARED:
        return workspace.shared().ledger
    types = {str(options["type"]) for options in workspace.repository.computes.values()}
    ledger = workspace.ledger(stage, local=all(drivers.load(name).is_local for name in types))
    ledger.refresh()
    return ledger


def _mapping(value: object) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}


def _deployments(spec: Spec | None) -> Iterator[tuple[str, str, Mapping[str, JSON]]]:
    """Live name, declared name and content of each deployment."""
    for name, value in _mapping(_mapping(spec).get("deployments")).items():
        deployment = _mapping(value)
        yield name, str(deployment.get(DECLARED_NAME, name)), deployment


def serves(spec: Spec | None, weights: Mapping[str, int] | None = None) -> tuple[str, ...]:
    """Model and weight of each deployment: `blue: digits:2 (100 %)`.

    Args:
        spec: Of an endpoint, declared or live.
        weights: By live name, where they are not those of the spec; deployments without a weight are left out then.
    """
    found: list[str] = []
    traffic = _mapping(_mapping(spec).get("traffic"))
    for live, declared, deployment in _deployments(spec):
        model = _mapping(deployment.get("model"))
        weight = traffic.get(live, 0 if traffic else 100) if weights is None else weights.get(live)
        if weight is not None:
            found.append(f"{declared}: {model.get('name', '?')}:{model.get('version', '?')} ({weight} %)")
    return tuple(found)


def _models(spec: Spec | None) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for _live, _declared, deployment in _deployments(spec):
        model = _mapping(deployment.get("model"))
        for path, sha256 in _mapping(model.get("files")).items():
            found[f"{model.get('name')}:{model.get('version')}/{path}"] = str(sha256)
    return tuple(found.items())


def _revision(revision: Revision | None) -> str:
    if revision is None:
        return ""
    commit = short(revision.commit) if revision.commit else "no commit"
    tree = f" (tree {short(revision.tree)})" if revision.tree and revision.dirty else ""
    return " ".join(filter(None, (revision.branch, commit))) + (
        f" with uncommitted changes{tree}" if revision.dirty else ""
    )


def _result(result: RecordedResult, look: Look) -> str:
    settled = result.goal is not None and result.outcome in _SETTLED and result.address.kind is Kind.ENDPOINT
    spec = look(result.goal) if settled and result.goal else None
    told = f", serves {', '.join(serves(spec))}" if spec is not None else ""
    reason = f": {result.reason}" if result.reason else ""
    return f"{result.action} {result.address} {result.outcome.value}{told}{reason}"


def _what(record: Record, look: Look) -> Iterator[str]:
    body = record.body
    address = body.get("address")
    match record.event:
        case Event.STARTED:
            intended = _mapping(body.get("intended"))
            yield from (f"{'delete' if goal is None else 'put'} {name}" for name, goal in intended.items())
        case Event.STEP:
            number, weights = body.get("step"), _mapping(body.get("weights"))
            shares = ", ".join(f"{name} {weight} %" for name, weight in weights.items())
            yield f"{address} step {number} {'done' if body.get('done') else 'begins'}{f': {shares}' if shares else ''}"
        case Event.PAUSED:
            yield f"{address} soaks until {_until(body.get('until'))}"
        case Event.DENIED:
            yield f"{address} goal {short(str(body.get('goal')))} is remembered as bad: {body.get('reason')}"
        case Event.ALLOWED:
            yield f"{address} goal {short(str(body.get('goal') or 'any'))} may be tried again"
        case Event.OBSERVED:
            yield from _observed(body)
        case Event.ROTATED:
            yield f"{address} {_rotated(body)}"
        case Event.APPROVED:
            yield f"effect {short(record.digests.get('effect'))} approved"
        case Event.FINISHED | Event.FAILED | Event.INTERRUPTED:
            yield from (_result(result, look) for result in record.results)
        case _:
            assert_never(record.event)


def _observed(body: Mapping[str, JSON]) -> Iterator[str]:
    for name, found in _mapping(body.get("observed")).items():
        yield f"{name} {'is as applied again' if found is None else f'drifted: {_drift(found)}'}"


def _rotated(body: Mapping[str, JSON]) -> str:
    revoked = "; what was issued with the old one opens nothing" if body.get("revoked") else ""
    return f"{body.get('key')} key made anew{revoked}"


def _until(text: object) -> str:
    """A time of a record, as all times are told; a record that holds none is shown as it is."""
    with suppress(ValueError):
        return time_text(from_text(str(text)))
    return str(text)


def _drift(found: object) -> str:
    fields = _mapping(found).get("fields")
    paths = ", ".join(map(str, fields)) if isinstance(fields, list | tuple) else ""
    return "; ".join(filter(None, (str(_mapping(found).get("reason") or ""), paths)))


def entry_of(record: Record, look: Look) -> Entry:
    """A record as it is told.

    Args:
        record: Of a ledger.
        look: Finds a spec by its digest.
    """
    return Entry(
        record.stage,
        record.sequence,
        record.time,
        record.event,
        str(record.actor),
        record.actor.source,
        tuple(_what(record, look)),
        record.reason,
        _revision(record.revision),
        record.pull_request,
        record.run,
        record.commit,
        dict(record.digests),
        record.evidence,
    )


def history(
    workspace: Workspace, stage: str, *, address: Address | None = None, limit: int | None = 20, steps: bool = False
) -> tuple[Entry, ...]:
    """The records of a stage, newest first.

    Args:
        workspace: The opened repository.
        stage: The stage, or `shared`.
        address: Only records about this object.
        limit: At most so many; None: all.
        steps: Also the beginning of runs and the steps of rollouts.

    Raises:
        NotFound: No record is about this object.
        MlopsError: The ledger cannot be read.
    """
    ledger = ledger_of(workspace, stage)
    running = ledger.state().run
    open_run = running.id if running is not None else None

    def wanted(record: Record) -> bool:
        return steps or record.event not in _MINOR or (record.event is Event.STARTED and record.run == open_run)

    records = list(islice(filter(wanted, ledger.records(address=address)), limit))
    if address is not None and not records:
        raise _never_seen(ledger.state(), address)
    known = ledger.specs({r.goal for record in records for r in record.results if r.goal})
    return tuple(entry_of(record, known.get) for record in records)


def _never_seen(state: State, address: Address) -> NotFound:
    known = sorted({str(a) for a in (*state.applied, *state.good, *state.denied)})
    detail = f"The ledger of stage {state.stage} has no record of {address}. {did_you_mean(str(address), known)}"
    command = f"mlops history --stage {state.stage}"
    return NotFound(Diagnostic("Nothing is known of it", detail.rstrip(), todo="See what it knows:", command=command))


def _rollout(state: State, address: Address, ledger: Ledger) -> str:
    """How far a rollout was, and what served. A step that had begun and was not found good yet may have been live."""
    progress = state.rollouts.get(address)
    if progress is None:
        return ""
    spec = ledger.spec(progress.spec)
    done = "done" if progress.done else "begun"
    sides = [progress.weights] if progress.done else [progress.before, progress.weights]
    shares = (serves(spec, {name: weight for name, weight in side.items() if weight}) for side in sides)
    told = dict.fromkeys(", ".join(share) for share in shares if share)
    text = f"to goal {short(progress.goal)}, step {progress.step + 1} {done}"
    if told:
        text += f"; served {', then '.join(told)}"
    return f"{text}; paused until {time_text(progress.paused_until)}" if progress.paused_until else text


def _served(moment: Moment, ledger: Ledger) -> Iterable[Served]:
    state = moment.state
    known = ledger.specs({applied.goal for applied in state.applied.values()})
    for address, applied in sorted(state.applied.items()):
        spec = known.get(applied.goal) if address.kind is Kind.ENDPOINT else None
        source = moment.sources.get(applied.sequence)
        observed = state.observed.get(address)
        yield Served(
            address,
            applied.goal,
            serves(spec),
            _models(spec),
            applied.since,
            entry_of(source, known.get) if source is not None else None,
            _rollout(state, address, ledger),
            _drift(observed) if observed else "",
        )


def served_at(workspace: Workspace, stage: str, time: float, address: Address | None = None) -> Past:
    """What served at a time, and why.

    Args:
        workspace: The opened repository.
        stage: The stage, or `shared`.
        time: Epoch seconds.
        address: Only this object.

    Raises:
        NotFound: The ledger begins later.
        MlopsError: The ledger cannot be read.
    """
    ledger = ledger_of(workspace, stage)
    moment = ledger.at(time)
    if moment is None:
        raise NotFound(
            Diagnostic(
                "Nothing is known of that time",
                f"The ledger of stage {stage} has no record at or before {time_text(time)}.",
                todo="See when it begins:",
                command=f"mlops history --stage {stage}",
            )
        )
    served = tuple(item for item in _served(moment, ledger) if address in (None, item.address))
    return Past(stage, time, entry_of(moment.record, lambda _goal: None), served)
