"""What happens while the user program runs: decorators, recorder, records, value snapshots, context."""

from tracediff.capture.context import activate, carry_into_threads, current_scope, current_text, suppressed, using
from tracediff.capture.decorators import functional_node, site_rule, trainable_prompt
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.capture.live import note_lost_context
from tracediff.capture.prompts import Prompt, declared_parameters
from tracediff.capture.recorder import Call, begin
from tracediff.capture.recording import Recording
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.snapshot import snapshot
from tracediff.capture.spans import export_report, flush_export, shutdown_export
from tracediff.capture.values import Cut, Obj, Placeholder, Value, leaves

__all__ = [
    "Call",
    "Cut",
    "Obj",
    "Placeholder",
    "Prompt",
    "Recording",
    "Ref",
    "SpanRecord",
    "Value",
    "activate",
    "begin",
    "carry_into_threads",
    "current_scope",
    "current_text",
    "declared_parameters",
    "export_report",
    "flush_export",
    "functional_node",
    "instrument",
    "leaves",
    "note_lost_context",
    "shutdown_export",
    "site_rule",
    "snapshot",
    "suppressed",
    "trainable_prompt",
    "uninstrument",
    "using",
]
