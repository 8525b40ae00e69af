"""The state as `state.json`, read strictly."""

from __future__ import annotations

from collections.abc import Mapping

from mlops.ledger.clock import to_text
from mlops.ledger.fields import Fields, Malformed, read_moment
from mlops.ledger.process import Process
from mlops.ledger.record_json import (
    actor_to_json,
    check_format,
    read_actor,
    read_address,
    read_revision,
    revision_to_json,
)
from mlops.ledger.state import Applied, OpenRun, Progress, State
from mlops.resource import JSON, Address

STATE_FORMAT = 1

_APPLIED = {"goal", "since", "sequence", "action"}


def _applied_to_json(applied: Applied) -> dict[str, JSON]:
    return {
        "goal": applied.goal,
        "since": to_text(applied.since),
        "sequence": applied.sequence,
        "action": applied.action,
    }


def _progress_to_json(progress: Progress) -> dict[str, JSON]:
    paused = progress.paused_until
    return {
        "goal": progress.goal,
        "base": progress.base,
        "step": progress.step,
        "done": progress.done,
        "spec": progress.spec,
        "weights": dict(progress.weights),
        "before": dict(progress.before),
        "started": to_text(progress.started),
        "paused_until": None if paused is None else to_text(paused),
    }


def run_to_json(run: OpenRun) -> dict[str, JSON]:
    """The open run."""
    return {
        "id": run.id,
        "actor": actor_to_json(run.actor),
        **process_to_json(run.process, run.uptime),
        "started": to_text(run.started),
        "sequence": run.sequence,
        "intended": goals_to_json(run.intended),
    }


def process_to_json(process: Process, uptime: float) -> dict[str, JSON]:
    """Which process holds the lock, and its machine's uptime in seconds when it began."""
    return {
        "host": process.host,
        "machine": process.machine,
        "pid": process.pid,
        "ticks": process.ticks,
        "uptime": round(uptime, 3),
    }


def goals_to_json(goals: Mapping[Address, str | None]) -> dict[str, JSON]:
    """Goals, or null, by address."""
    return {str(address): goal for address, goal in goals.items()}


def _is_applied(state: State, address: Address, goal: str) -> bool:
    """Whether what was last good is what is applied, as nearly always: then it is written once."""
    applied = state.applied.get(address)
    return applied is not None and applied.goal == goal


def state_to_json(state: State) -> dict[str, JSON]:
    """The content of `state.json`."""
    return {
        "format": STATE_FORMAT,
        "project": state.project,
        "stage": state.stage,
        "sequence": state.sequence,
        "time": to_text(state.time),
        "revision": revision_to_json(state.revision),
        "applied": {str(address): _applied_to_json(value) for address, value in state.applied.items()},
        "good": {str(address): goal for address, goal in state.good.items() if not _is_applied(state, address, goal)},
        "denied": {str(address): dict(goals) for address, goals in state.denied.items()},
        "rollouts": {str(address): _progress_to_json(value) for address, value in state.rollouts.items()},
        "observed": {str(address): dict(value) for address, value in state.observed.items()},
        "intended": goals_to_json(state.intended),
        "run": None if state.run is None else run_to_json(state.run),
    }


def read_goals(values: Mapping[str, JSON]) -> dict[Address, str | None]:
    """Goals, or null, by address.

    Raises:
        Malformed: It is not what its format says.
    """
    found: dict[Address, str | None] = {}
    for address, goal in values.items():
        if goal is not None and not isinstance(goal, str):
            raise Malformed(f"the goal of {address} is neither text nor null")
        found[read_address(address)] = goal
    return found


def read_weights(values: Mapping[str, JSON]) -> dict[str, int]:
    """Percent by live deployment.

    Raises:
        Malformed: A value is not a whole number.
    """
    found: dict[str, int] = {}
    for name, weight in values.items():
        if not isinstance(weight, int) or isinstance(weight, bool):
            raise Malformed(f"the weight of {name} is not a whole number")
        found[name] = weight
    return found


def read_process(fields: Fields) -> tuple[Process, float]:
    """Which process holds the lock, and its machine's uptime when it began.

    Raises:
        Malformed: It is not what its format says.
    """
    process = Process(
        host=fields.text("host"),
        machine=fields.text("machine"),
        pid=fields.integer("pid"),
        ticks=fields.integer("ticks"),
    )
    uptime = fields.take("uptime")
    if not isinstance(uptime, int | float):
        raise Malformed("the uptime is not a number")
    return process, float(uptime)


def _read_run(value: JSON) -> OpenRun | None:
    if value is None:
        return None
    fields = Fields(value, "the run")
    process, uptime = read_process(fields)
    run = OpenRun(
        id=fields.text("id"),
        actor=read_actor(fields.fields("actor")),
        process=process,
        started=fields.moment("started"),
        uptime=uptime,
        sequence=fields.integer("sequence"),
        intended=read_goals(fields.mapping("intended")),
    )
    fields.end()
    return run


def _read_applied(values: Mapping[str, JSON]) -> dict[Address, Applied]:
    """Written out, not through `Fields`: there can be ten thousand of these, and every plan reads them."""
    found: dict[Address, Applied] = {}
    for address, value in values.items():
        if not isinstance(value, dict) or value.keys() != _APPLIED:
            raise Malformed(f"what was applied at {address} has other keys than it should")
        goal, since, sequence, action = value["goal"], value["since"], value["sequence"], value["action"]
        texts = isinstance(goal, str) and isinstance(since, str) and isinstance(action, str)
        if not texts or not isinstance(sequence, int):
            raise Malformed(f"what was applied at {address} has a value of another type than it should")
        found[read_address(address)] = Applied(goal, read_moment(since), sequence, action)
    return found


def _read_progress(value: JSON) -> Progress:
    fields = Fields(value, "a rollout")
    progress = Progress(
        goal=fields.text("goal"),
        base=fields.text_or_none("base"),
        step=fields.integer("step"),
        done=fields.boolean("done"),
        spec=fields.text("spec"),
        weights=read_weights(fields.mapping("weights")),
        before=read_weights(fields.mapping("before")),
        started=fields.moment("started"),
        paused_until=fields.moment_or_none("paused_until"),
    )
    fields.end()
    return progress


def _read_mappings(values: Mapping[str, JSON]) -> dict[Address, Mapping[str, JSON]]:
    found: dict[Address, Mapping[str, JSON]] = {}
    for address, value in values.items():
        if not isinstance(value, dict):
            raise Malformed(f"the entry of {address} is not an object")
        found[read_address(address)] = value
    return found


def read_state(value: object) -> State:
    """Read `state.json`.

    Raises:
        Malformed: It is not what its format says, or of a newer format.
    """
    fields = Fields(value, "the state")
    check_format(fields.integer("format"), STATE_FORMAT)
    denied = fields.mapping("denied")
    applied = _read_applied(fields.mapping("applied"))
    good = {address: value.goal for address, value in applied.items()}
    good.update((read_address(address), goal) for address, goal in fields.texts("good").items())
    state = State(
        project=fields.text("project"),
        stage=fields.text("stage"),
        sequence=fields.integer("sequence"),
        time=fields.moment("time"),
        revision=read_revision(fields.take("revision")),
        applied=applied,
        good=good,
        denied={read_address(address): Fields(denied, "denied").texts(address) for address in denied},
        rollouts={read_address(key): _read_progress(value) for key, value in fields.mapping("rollouts").items()},
        observed=_read_mappings(fields.mapping("observed")),
        intended=read_goals(fields.mapping("intended")),
        run=_read_run(fields.take("run")),
    )
    fields.end()
    return state
