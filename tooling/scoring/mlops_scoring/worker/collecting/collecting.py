"""The observer that keeps model data."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Iterable, Mapping

from mlops_scoring.collection.closed import repair
from mlops_scoring.collection.events import TYPE_PREFIX, Envelope
from mlops_scoring.collection.figures import Figures
from mlops_scoring.collection.keys import UnusableKey, store_key
from mlops_scoring.collection.privacy import Unfiltered
from mlops_scoring.collection.sampling import Draw
from mlops_scoring.collection.settings import OUTPUTS, RESPONSE
from mlops_scoring.collection.store import Store
from mlops_scoring.collection.writer import Writer
from mlops_scoring.configuration import WorkerConfiguration
from mlops_scoring.telemetry.families import Family
from mlops_scoring.worker.collecting import monitoring
from mlops_scoring.worker.collecting.entries import Captured, Posted, Press
from mlops_scoring.worker.collecting.families import families
from mlops_scoring.worker.collecting.plan import AUTOMATIC, Kept, Plan, StoreKey, make_plan
from mlops_scoring.worker.collecting.rows import model_columns
from mlops_scoring.worker.collecting.sink import Sink
from mlops_scoring.worker.collecting.trials import Marks
from mlops_scoring.worker.observing import Scored
from mlops_scoring.worker.scoring import Scorer

_OWN_ATTRIBUTES = frozenset(
    {
        *("specversion", "id", "source", "type", "time", "datacontenttype", "data", "dataschema", "subject"),
        *("modelname", "modelversion", "correlationid", "xrequestid", "requestheaders", "httppath", "httpstatus"),
    }
)
_log = logging.getLogger("mlops_scoring.collection")


class Collecting:
    """Keeps what is declared of a worker's requests.

    Attributes:
        figures: What was kept and what was not.
    """

    def __init__(self, plan: Plan, source: tuple[str, str], *, trials: bool) -> None:
        """Begin to write, and to listen for the script's collectors."""
        self._marks = Marks(trials=trials)
        self.figures = Figures()
        attributes = {"modelname": plan.place.model, "modelversion": plan.place.version}
        self._plan = plan
        self._press = Press(plan, Envelope(source, attributes), StoreKey(plan.directory))
        self._samples = any(kept.rate < 1 for kept in (*plan.captured, *plan.sent.values()))
        self._draw = Draw(_sampling_key(plan) if self._samples else b"")
        self._writer = Writer(Store(plan.directory, plan.place, plan.rate, self.figures), self.figures)
        self._sink: Sink | None = None
        if plan.sent:
            self._sink = Sink(self._accept)
            monitoring.announce(self._sink.port, plan.sent)
        threading.Thread(target=_mend, args=(plan,), name="collection-repair", daemon=True).start()

    def loaded(self, scorer: Scorer) -> None:
        """The model is loaded: its columns are known, and the script has imported what it needs."""
        monitoring.adopt_requests(self._marks)
        self._plan = self._plan.with_columns(model_columns(scorer.schema()))
        self._press = Press(self._plan, self._press.envelope, self._press.key)

    def families(self) -> Iterable[Family]:
        """The figures as metrics."""
        return families(self.figures.snapshot())

    def scored(self, scored: Scored) -> None:
        """Queue what is to be kept of one request."""
        if self._marks.is_trial(scored.request):
            return
        captured = self._plan.captured
        if self._samples:
            lot = self._draw.lot(scored.request.request_id)
            kept = tuple(one for one in captured if lot < one.rate)
            if len(kept) < len(captured):
                self.figures.sampled_out(len(captured) - len(kept))
        else:
            kept = captured
        answer = scored.answer
        if answer.status >= 300:
            kept = tuple(one for one in kept if one.name.lower() not in AUTOMATIC)
        if answer.stream is not None:
            streamed = tuple(one for one in kept if one.name.lower() in {OUTPUTS, RESPONSE})
            self.figures.dropped("streamed", len(streamed))
            kept = tuple(one for one in kept if one not in streamed)
        if kept:
            self._writer.put(Captured(self._press, kept, scored))

    def close(self) -> None:
        """Write out what is not written yet: first what the script's collectors hold, then what waits here."""
        if self._sink is not None:
            monitoring.flush()
            self._sink.close()
        self._writer.close()

    def _accept(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """Take what a script's collector sends."""
        monitoring.adopt_requests(self._marks)
        if self._marks.is_of_trial(headers):
            return 200, "It is of a trial, which is not kept."
        name = headers.get("ce-type", "").removeprefix(TYPE_PREFIX).lower()
        kept = self._plan.sent.get(name)
        if kept is None:
            self.figures.dropped("unknown_collection")
            return 404, "There is no such collection, or it is not enabled."
        identity = headers.get("ce-x-request-id", "")
        if kept.rate < 1 and self._draw.lot(identity) >= kept.rate:
            self.figures.sampled_out(1)
            return 200, "It is not in the sample."
        try:
            attributes = {"correlationid": identity, **self._more(kept, headers)}
        except Unfiltered:
            self.figures.dropped("unfiltered")
            return 503, "There is no key to hash with."
        room = self._writer.put(Posted(self._press, kept, body, _seconds(headers.get("ce-time", "")), attributes))
        return (200, "It is taken.") if room else (503, "There is no room for it.")

    def _more(self, kept: Kept, headers: Mapping[str, str]) -> dict[str, str]:
        """What else the collector says, and what the script put into its context's headers."""
        names = {"ce-collect-data-type": "collectdatatype", "ce-agent": "agent"}
        found = {attribute: headers[name] for name, attribute in names.items() if name in headers}
        free = {
            name.removeprefix("ce-"): value
            for name, value in headers.items()
            if name.startswith("ce-") and name not in {*names, "ce-type", "ce-time", "ce-x-request-id"}
        }
        allowed = kept.filter.apply_to_headers(free, self._press.key.get() if kept.filter.hash else b"")
        for name, value in allowed.items():
            attribute = "".join(letter for letter in name if letter.isascii() and letter.isalnum())[:20]
            if attribute and attribute not in _OWN_ATTRIBUTES:
                found.setdefault(attribute, value)
        return found


def begin(configuration: WorkerConfiguration, *, trials: bool) -> Collecting | None:
    """Begin, before the model is loaded; None where nothing is to be kept.

    Args:
        configuration: What is declared.
        trials: Whether a gateway in front says which requests are the toolkit's trials.

    Raises:
        OSError: There is no port for the script's collectors.
    """
    collector = configuration.deployment.data_collector
    if collector is None:
        return None
    plan = make_plan(configuration, collector)
    if not plan.captured and not plan.sent:
        return None
    return Collecting(plan, (plan.place.service, configuration.deployment.name), trials=trials)


def _sampling_key(plan: Plan) -> bytes:
    try:
        return store_key(plan.directory)
    except (OSError, UnusableKey):
        return secrets.token_bytes(32)  # the store cannot be had now; this process is then of one mind with itself only


def _mend(plan: Plan) -> None:
    mended = 0
    with contextlib.suppress(OSError):  # a folder went while it was looked through
        mended = repair(plan.place.folder(plan.directory))
    if mended:
        _log.warning("Cut off %d torn last lines of processes that were killed", mended)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return time.time()
