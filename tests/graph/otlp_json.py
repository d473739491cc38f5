"""Finished SDK spans as OTLP JSON, by the protocol's JSON mapping: ids in hex, 64-bit numbers as strings."""

from opentelemetry.trace import StatusCode


def document(spans, batch=3):
    """Return one OTLP JSON document; several resource spans, as batches of several processes have."""
    spans = list(spans)
    parts = [spans[i : i + batch] for i in range(0, len(spans), batch)]
    return {"resourceSpans": [_resource(part) for part in parts]}


def _resource(spans):
    scopes = {}
    for span in spans:
        scopes.setdefault(span.instrumentation_scope.name, []).append(_span(span))
    return {
        "resource": {"attributes": _attributes(spans[0].resource.attributes)},
        "scopeSpans": [{"scope": {"name": name}, "spans": found} for name, found in scopes.items()],
    }


def _span(span):
    found = {
        "traceId": f"{span.context.trace_id:032x}",
        "spanId": f"{span.context.span_id:016x}",
        "name": span.name,
        "kind": span.kind.value + 1,
        "startTimeUnixNano": str(span.start_time),
        "endTimeUnixNano": str(span.end_time),
        "attributes": _attributes(span.attributes),
        "status": {},
    }
    if span.parent is not None:
        found["parentSpanId"] = f"{span.parent.span_id:016x}"
    if span.dropped_attributes:
        found["droppedAttributesCount"] = span.dropped_attributes
    if span.status.status_code is StatusCode.ERROR:
        found["status"] = {"code": 2, "message": span.status.description or ""}
    if span.events:
        found["events"] = [
            {"timeUnixNano": str(event.timestamp), "name": event.name, "attributes": _attributes(event.attributes)}
            for event in span.events
        ]
    if span.links:
        found["links"] = [
            {
                "traceId": f"{link.context.trace_id:032x}",
                "spanId": f"{link.context.span_id:016x}",
                "attributes": _attributes(link.attributes),
            }
            for link in span.links
        ]
    return found


def _attributes(attributes):
    return [{"key": key, "value": _value(value)} for key, value in (attributes or {}).items()]


def _value(value):
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    return {"arrayValue": {"values": [_value(item) for item in value]}}
