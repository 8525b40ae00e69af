"""What we encode, decoded by opentelemetry-proto's own classes; and trace contexts of any form."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from mlops_scoring.telemetry.families import SECONDS, Distribution, Durations, Family, Point
from mlops_scoring.telemetry.otlp import encode_metrics, encode_traces
from mlops_scoring.telemetry.sampling import SAMPLERS, Sampler, named_sampler
from mlops_scoring.telemetry.spans import Attributes, Span, SpanEvent, SpanLink
from mlops_scoring.telemetry.trace_context import TraceContext, read_trace_context

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
whole = st.integers(-(2**63), 2**63 - 1)
number = st.floats(allow_nan=False)
several = st.one_of(st.lists(text | st.none(), max_size=3), st.lists(whole, max_size=3))
value = st.one_of(text, st.booleans(), whole, number, several)
attributes = st.lists(st.tuples(text, value), max_size=4, unique_by=lambda pair: pair[0])
span_id, trace_id, nanoseconds = st.integers(1, 2**64 - 1), st.integers(1, 2**128 - 1), st.integers(0, 2**63)
spans = st.builds(
    Span,
    name=text,
    kind=st.sampled_from(["internal", "server", "client", "producer", "consumer"]),
    trace_id=trace_id,
    span_id=span_id,
    parent_id=st.integers(0, 2**64 - 1),
    start=nanoseconds,
    end=nanoseconds,
    state=text,
    remote_parent=st.sampled_from([None, True, False]),
    error=st.none() | text,
    fine=st.booleans(),
    attributes=attributes,
    shared=st.lists(st.tuples(text, text | st.integers(-(2**63), 2**63 - 1)), max_size=3).map(tuple),
    events=st.lists(st.builds(SpanEvent, text, nanoseconds, attributes), max_size=2).map(tuple),
    links=st.lists(st.builds(SpanLink, trace_id, span_id, attributes), max_size=2).map(tuple),
    scope=text,
)


def plain(pairs: object) -> list[tuple[str, object]]:
    def one(found: object) -> object:
        kind = found.WhichOneof("value")  # type: ignore[attr-defined]  # an AnyValue
        if kind is None:
            return None
        got = getattr(found, kind)
        return [one(item) for item in got.values] if kind == "array_value" else got

    return [(pair.key, one(pair.value)) for pair in pairs]  # type: ignore[attr-defined]  # repeated KeyValue


@given(attributes, st.lists(spans, max_size=4))
def test_spans_are_decoded_as_they_were(resource: Attributes, given_spans: list[Span]) -> None:
    request = ExportTraceServiceRequest.FromString(encode_traces(resource, given_spans))
    (group,) = request.resource_spans
    assert plain(group.resource.attributes) == list(resource)
    found = [(scope.scope.name, span) for scope in group.scope_spans for span in scope.spans]
    expected = sorted(given_spans, key=lambda span: span.scope)
    assert len(found) == len(expected)
    for (scope, got), span in zip(found, expected, strict=True):
        assert scope == span.scope
        assert (got.name, got.trace_state) == (span.name, span.state)
        assert int.from_bytes(got.trace_id, "big") == span.trace_id
        assert int.from_bytes(got.span_id, "big") == span.span_id
        assert int.from_bytes(got.parent_span_id or b"\0", "big") == span.parent_id
        assert (got.start_time_unix_nano, got.end_time_unix_nano) == (span.start, span.end)
        assert sorted(plain(got.attributes), key=repr) == sorted([*span.shared, *span.attributes], key=repr)
        assert [(e.name, e.time_unix_nano, plain(e.attributes)) for e in got.events] == [
            (event.name, event.time, list(event.attributes)) for event in span.events
        ]
        assert [(int.from_bytes(n.trace_id, "big"), int.from_bytes(n.span_id, "big")) for n in got.links] == [
            (link.trace_id, link.span_id) for link in span.links
        ]
        assert got.status.code == (2 if span.error is not None else 1 if span.fine else 0)
        assert got.status.message == (span.error or "")
        assert got.flags & 0xFF == 1
        assert bool(got.flags & 0x100) == (span.remote_parent is not None and span.parent_id != 0)
        assert bool(got.flags & 0x200) == (span.remote_parent is True and span.parent_id != 0)


labels = st.lists(st.tuples(text, text), max_size=3, unique_by=lambda pair: pair[0]).map(tuple)
distributions = st.lists(st.tuples(number, st.integers(0, 2**32)), min_size=1, max_size=5).map(
    lambda pairs: Distribution([b for b, _ in pairs], [*(c for _, c in pairs), 7], 1.5)
)


@given(
    st.lists(st.builds(Point, labels, number), max_size=3).map(tuple),
    st.lists(st.builds(Point, labels, distributions), max_size=3).map(tuple),
    text,
)
def test_metrics_are_decoded_as_they_were(numbers: tuple[Point, ...], histograms: tuple[Point, ...], name: str) -> None:
    families = [
        Family(name, "gauge", "G", numbers, "By"),
        Family(name, "counter", "C", numbers, "1"),
        Family(name, "histogram", "H", histograms, "s"),
    ]
    request = ExportMetricsServiceRequest.FromString(encode_metrics([("a", "b")], families, 5, 9))
    gauge, total, histogram = request.resource_metrics[0].scope_metrics[0].metrics
    assert (gauge.name, gauge.unit, gauge.description) == (name, "By", "G")
    for got in (gauge.gauge.data_points, total.sum.data_points):
        assert [(p.as_double, plain(p.attributes), p.time_unix_nano) for p in got] == [
            (point.value, list(point.labels), 9) for point in numbers
        ]
    assert total.sum.is_monotonic
    assert total.sum.aggregation_temporality == histogram.histogram.aggregation_temporality == 2
    for got_point, point in zip(histogram.histogram.data_points, histograms, strict=True):
        assert isinstance(point.value, Distribution)
        assert list(got_point.bucket_counts) == list(point.value.counts)
        assert list(got_point.explicit_bounds) == list(point.value.bounds)
        assert (got_point.count, got_point.sum) == (point.value.count, point.value.total)
        assert (got_point.start_time_unix_nano, got_point.time_unix_nano) == (5, 9)


@given(trace_id, span_id, st.booleans())
def test_a_trace_context_is_read_as_it_was_written(trace: int, span: int, sampled: bool) -> None:  # noqa: FBT001
    context = TraceContext(trace, span, sampled)
    assert read_trace_context([(b"traceparent", context.traceparent)]) == context


@given(st.lists(st.tuples(st.sampled_from([b"traceparent", b"tracestate"]), st.binary(max_size=80)), max_size=4))
def test_any_header_is_read_or_left(headers: list[tuple[bytes, bytes]]) -> None:
    context = read_trace_context(headers)
    assert context is None or re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", context.traceparent)


def test_two_parents_are_none_and_later_versions_are_read() -> None:
    parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert read_trace_context([(b"traceparent", parent), (b"traceparent", parent)]) is None
    assert read_trace_context([(b"traceparent", b"cc" + parent[2:] + b"-more")]) is not None
    states = [(b"tracestate", b"a=1"), (b"tracestate", b"b=2")]
    found = read_trace_context([(b"traceparent", parent), *states])
    assert found is not None
    assert found.state == "a=1,b=2"
    long = read_trace_context([(b"traceparent", parent), (b"tracestate", b"a" * 513)])
    assert long is not None
    assert not long.state


def test_samplers_keep_their_share_and_follow_callers() -> None:
    kept = sum(Sampler(0.25).child(None).sampled for _ in range(4000))
    assert 850 < kept < 1150
    yes, no = (TraceContext(2**127, 1, sampled=flag) for flag in (True, False))
    expected = {
        "always_on": (True, True, True),
        "always_off": (False, False, False),
        "traceidratio": (False, False, False),
        "parentbased_always_on": (True, True, False),
        "parentbased_always_off": (False, True, False),
        "parentbased_traceidratio": (False, True, False),
    }
    assert set(expected) == set(SAMPLERS)
    for name, answers in expected.items():
        sampler = named_sampler(name, 0)
        assert tuple(sampler.child(parent).sampled for parent in (None, yes, no)) == answers, name
    assert Sampler(1).child(yes).trace_id == yes.trace_id
    assert Sampler(1).child(yes).span_id != yes.span_id


@given(st.lists(st.floats(0, 100), max_size=20))
def test_durations_are_counted_below_their_bounds(seconds: list[float]) -> None:
    durations = Durations()
    for one in seconds:
        durations.add(one)
    found = durations.distribution()
    assert found.count == len(seconds)
    below = 0
    for bound, count in zip(SECONDS, found.counts, strict=False):
        below += count
        assert below == sum(one <= bound for one in seconds)
