"""Which traces are kept: the caller decides, and a ratio where nobody has decided (OpenTelemetry's samplers)."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_scoring.telemetry.trace_context import TraceContext, new_span_id, new_trace_id

SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
"""Names for OTEL_TRACES_SAMPLER."""

_BITS = 64


@dataclass(frozen=True, slots=True)
class Sampler:
    """Decides for each span.

    Attributes:
        ratio: Share of the traces to keep, by trace id, so that all who use the same ratio keep the same ones.
        follows_parent: Whether a caller's decision is taken over.
    """

    ratio: float = 1.0
    follows_parent: bool = True

    def child(self, parent: TraceContext | None) -> TraceContext:
        """A new span below a caller's, or at the root of a new trace."""
        trace_id = parent.trace_id if parent is not None else new_trace_id()
        if parent is not None and self.follows_parent:
            sampled = parent.sampled
        else:
            sampled = trace_id & (2**_BITS - 1) < round(self.ratio * 2**_BITS)
        return TraceContext(trace_id, new_span_id(), sampled, parent.state if parent is not None else "")


def named_sampler(name: str, argument: float) -> Sampler:
    """The sampler of a name of `SAMPLERS`."""
    ratio = {"on": 1.0, "off": 0.0}.get(name.rpartition("_")[2], argument)
    return Sampler(ratio, name.startswith("parentbased"))
