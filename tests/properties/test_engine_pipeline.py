"""The same claims on the whole product: real files, a real Git repository, its ledger and its registry."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.features.workshop import Workshop
from tests.properties.claims import assert_traffic_sound
from tests.properties.estates import Estate, edited_estates
from tests.properties.repositories import write
from tests.unit.engine.journal import Killed

from mlops.errors import Diagnostic, Exit, Locked, StalePlan, TargetError
from mlops.pipeline.applying import Applied, ApplyRequest, apply
from mlops.pipeline.planning import plan
from mlops.plan import Plan
from mlops.plan.change import EFFECTIVE
from mlops.plan.file import write_plan
from mlops.resource import SHARED, Address, Event
from mlops.rollout import traffic_of

FEW = settings(max_examples=max(8, settings().max_examples // 20), phases=(Phase.explicit, Phase.reuse, Phase.generate))
"""Each example makes a repository and applies it several times, so few are drawn and none is made smaller."""

LEASE = 120.0
"""Seconds after which a lock that was not renewed may be taken over, and some more."""


@contextlib.contextmanager
def clone() -> Iterator[Workshop]:
    with tempfile.TemporaryDirectory() as folder:
        yield Workshop.begin(Path(folder) / "clone")


def effective(made: Plan) -> list[str]:
    return [f"{c.action} {c.address}: {c.reason}" for c in made.changes if c.action in EFFECTIVE]


def assert_settled(workshop: Workshop, *, replay: bool = True) -> None:
    """Nothing is left to do, every run is closed, and the ledgers replay to what they say."""
    with workshop.opened() as workspace:
        made = plan(workspace, "dev")
        assert effective(made) == []
        waits = {c.address for c in made.changes if c.waits}
        for stage in (SHARED, "dev"):
            ledger = workspace.ledger(stage, local=True)
            assert not (replay and ledger.verify())
            state = ledger.state()
            assert state.run is None
            assert set(state.rollouts) | set(state.intended) <= waits
    for compute in ("here", "there"):
        for observed in workshop.far(compute).objects.values():
            assert_traffic_sound({**observed.spec, "traffic": traffic_of(observed.spec)})


@FEW
@given(edited_estates())
def test_one_apply_of_any_edit_converges_and_then_nothing_is_done(pair: tuple[Estate, Estate]) -> None:
    with clone() as workshop:
        for estate in pair:
            write(workshop, estate)
            ended = apply_all(workshop)
            assert ended.exit_code in (Exit.DONE, Exit.WAITING)
            assert_settled(workshop)
            calls = puts(workshop)
            again = apply_all(workshop)
            assert (again.exit_code, puts(workshop)) == (ended.exit_code, calls)


def apply_all(workshop: Workshop) -> Applied:
    return workshop.apply(request=ApplyRequest(allow_deletes=100))


def puts(workshop: Workshop) -> int:
    return sum(workshop.far(c).calls["put"] + workshop.far(c).calls["delete"] for c in ("here", "there"))


@FEW
@given(edited_estates())
def test_the_same_repository_gives_the_same_bytes(pair: tuple[Estate, Estate]) -> None:
    with clone() as workshop:
        write(workshop, pair[0])
        apply_all(workshop)
        write(workshop, pair[1])
        first = write_plan(workshop.plan())
        write(workshop, replace(pair[1], endpoints=dict(reversed(list(pair[1].endpoints.items())))))
        assert write_plan(workshop.plan()) == first


class Fate:
    """Strikes at one of all calls to drivers and Git processes of a run; after that nothing is done any more."""

    def __init__(self, workshop: Workshop, at: int) -> None:
        self.at = at
        self.seen = 0
        self._lock = threading.Lock()
        self._fars = [workshop.far(c) for c in ("here", "there")]
        for far in self._fars:
            far.before = far.after = lambda _verb, _address: self.pass_by()

    def git(self, _command: Sequence[str]) -> None:
        self.pass_by()

    def pass_by(self) -> None:
        with self._lock:
            self.seen += 1
            if self.seen > self.at:
                raise Killed

    def end(self) -> None:
        for far in self._fars:
            far.before = far.after = lambda _verb, _address: None


def killed(workshop: Workshop, at: int) -> int:
    """Apply and be killed at a call; how many there were."""
    fate = Fate(workshop, at)
    try:
        with workshop.opened(fate.git) as workspace:
            apply(workspace, "dev", ApplyRequest(allow_deletes=100), workshop.conduct)
    except (Killed, BaseExceptionGroup):
        pass
    finally:
        fate.end()
    workshop.clock.advance(LEASE)
    return fate.seen


@FEW
@given(edited_estates(), st.integers(0, 150))
def test_a_run_killed_at_any_call_or_ledger_write_is_finished_by_the_next(pair: tuple[Estate, Estate], at: int) -> None:
    with clone() as workshop:
        write(workshop, pair[0])
        apply_all(workshop)
        write(workshop, pair[1])
        killed(workshop, at)
        ended = apply_all(workshop)
        assert ended.exit_code in (Exit.DONE, Exit.WAITING)
        assert_settled(workshop)


def test_a_canary_killed_at_each_single_call_ends_as_if_it_had_not_been() -> None:
    """One change after the other, each cut off at another point, until a run needs no more calls than it is given."""
    with clone() as workshop:
        canary = "rollout: {strategy: canary, weights: [10]}\n"
        workshop.add_model("fraud:1")
        workshop.declare("fraud", "dev", "fraud:1", more=canary)
        workshop.apply()
        at = 0
        while True:
            version = 2 - at % 2
            workshop.add_model(f"fraud:{version}")
            workshop.declare("fraud", "dev", f"fraud:{version}", more=canary)
            if killed(workshop, at) <= at:
                break
            assert workshop.apply().exit_code is Exit.DONE
            assert_settled(workshop, replay=False)
            (observed,) = workshop.far().objects.values()
            assert [d["model"]["version"] for d in observed.spec["deployments"].values()] == [str(version)]  # type: ignore[index,union-attr,call-overload]
            at += 1
        assert at > 20
        assert_settled(workshop)


@FEW
@given(edited_estates(), st.integers(1, 12), st.booleans())
def test_a_lost_response_or_a_refusal_is_made_good_by_the_next_run(
    pair: tuple[Estate, Estate],
    number: int,
    after: bool,  # noqa: FBT001 - drawn by Hypothesis
) -> None:
    with clone() as workshop:
        write(workshop, pair[0])
        apply_all(workshop)
        write(workshop, pair[1])
        strike(workshop, number, after=after)
        apply_all(workshop)
        for compute in ("here", "there"):
            far = workshop.far(compute)
            far.before = far.after = lambda _verb, _address: None
        assert apply_all(workshop).exit_code in (Exit.DONE, Exit.WAITING)
        assert_settled(workshop)


def strike(workshop: Workshop, number: int, *, after: bool) -> None:
    lock = threading.Lock()
    seen = 0

    def call(verb: str, _address: Address) -> None:
        nonlocal seen
        if verb == "observe":
            return
        with lock:
            seen += 1
            if seen == number:
                raise TargetError(Diagnostic("Refused", "the target said no"))

    for compute in ("here", "there"):
        setattr(workshop.far(compute), "after" if after else "before", call)


def test_of_two_people_who_apply_at_once_one_wins_and_the_other_is_told() -> None:
    """The second comes while the first holds the lock and is about to write: it must not write, and says who."""
    with clone() as workshop:
        workshop.add_model("fraud:1")
        workshop.declare("fraud", "dev", "fraud:1")
        met: list[Locked] = []
        writes: list[str] = []

        def meet(verb: str, address: Address) -> None:
            if verb != "put" or writes:
                return
            writes.append(str(address))
            thread = threading.Thread(target=second)
            thread.start()
            thread.join()

        def second() -> None:
            other = Workshop(workshop.root, number=workshop.number)
            try:
                other.far().lock.release()
                with other.opened() as workspace:
                    apply(workspace, "dev", ApplyRequest(), other.conduct)
            except Locked as error:
                met.append(error)
            finally:
                other.far().lock.acquire()

        workshop.far().before = meet
        assert workshop.apply().exit_code is Exit.DONE
        assert len(met) == 1
        assert met[0].exit_code is Exit.LOCKED
        assert "Test User" in str(met[0])
        assert workshop.far().calls["put"] == 1
        workshop.far().before = lambda _verb, _address: None
        assert_settled(workshop)
        with workshop.opened() as workspace:
            events = [r.event for r in workspace.ledger("dev", local=True).records()]
        assert events == [Event.FINISHED, Event.STARTED]


def test_two_people_who_apply_at_the_same_moment_never_both_write() -> None:
    """Both have planned and go on together; whoever loses is told Locked or Stale, and every change is made once."""
    with clone() as workshop:
        for number in range(6):
            workshop.add_model("fraud:1")
            workshop.declare(f"number-{number}", "dev", "fraud:1")
            gate = threading.Barrier(2)
            codes: list[Exit] = []

            def run(gate: threading.Barrier = gate, codes: list[Exit] = codes) -> None:
                person = Workshop(workshop.root, number=workshop.number)
                conduct = replace(person.conduct, confirm=lambda _plan: gate.wait(timeout=60) >= 0)
                try:
                    with person.opened() as workspace:
                        codes.append(apply(workspace, "dev", ApplyRequest(), conduct).exit_code)
                except (Locked, StalePlan) as error:
                    codes.append(error.exit_code)

            threads = [threading.Thread(target=run) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(codes) == 2
            assert codes.count(Exit.DONE) == 1
            assert set(codes) - {Exit.DONE} <= {Exit.LOCKED, Exit.STALE}
            assert workshop.far().calls["put"] == number + 1
        assert_settled(workshop)
