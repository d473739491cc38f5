"""Span and record attribute keys, stated once.

``gen_ai.*`` follow OpenTelemetry's GenAI conventions (all of status "Development"); ``tracediff.*`` are our own.
"""

from __future__ import annotations

# What was called
OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
OUTPUT_TYPE = "gen_ai.output.type"
CONVERSATION_ID = "gen_ai.conversation.id"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"

# Request: settings are attributes, never inputs
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_P = "gen_ai.request.top_p"
REQUEST_TOP_K = "gen_ai.request.top_k"
REQUEST_SEED = "gen_ai.request.seed"
REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences"
REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count"
REQUEST_STREAM = "gen_ai.request.stream"

# Response
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
USAGE_REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"

# Content (opt-in), as JSON strings
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"
PROMPT_NAME = "gen_ai.prompt.name"
PROMPT_VERSION = "gen_ai.prompt.version"
PROMPT_VARIABLE_PREFIX = "gen_ai.prompt.variable."
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_DESCRIPTION = "gen_ai.tool.description"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT = "gen_ai.tool.call.result"
RETRIEVAL_QUERY = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS = "gen_ai.retrieval.documents"
RETRIEVAL_TOP_K = "gen_ai.retrieval.top_k"

# Evaluation event: the carrier of a score
EVALUATION_EVENT = "gen_ai.evaluation.result"
INFERENCE_EVENT = "gen_ai.client.inference.operation.details"
EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_SCORE = "gen_ai.evaluation.score.value"
EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation"

# A run's outermost span
INVOKE_WORKFLOW = "invoke_workflow"
"""The operation of a run."""
WORKFLOW_NAME = "gen_ai.workflow.name"

# Metrics
METRIC_DURATION = "gen_ai.client.operation.duration"
METRIC_TOKENS = "gen_ai.client.token.usage"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - a count of tokens, no secret

CAPTURE_CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

# Our own
RECORD = "tracediff.record"
"""The whole record as JSON: what a graph is rebuilt from."""
RUN_ID = "tracediff.run_id"
SITE = "tracediff.site"
KIND = "tracediff.kind"
SEQUENCE = "tracediff.sequence"
"""``start end``: the run's sequence numbers, which put its calls in order where clocks do not."""
REFS = "tracediff.refs"
"""[path, source id, source path, producers] of each identity reference, as JSON; without content no paths."""
RUN = "tracediff.run"
"""On the run's outermost span, with content: the header of a run file as JSON (output, sample, scores)."""
EDGES = "tracediff.edges"
"""On the run's outermost span, without content: nodes and edges as they were inferred in the process, no text."""
YIELDS = "tracediff.yields"
"""On a generator or stream: the run's sequence number at which each item of the output left it, in order."""
UNFINISHED = "tracediff.unfinished"
"""True when the call had not ended when the run's recording was closed, or a stream was abandoned half way."""
REQUEST_SETTINGS = "tracediff.request"
"""Settings of a client call that have no GenAI key, as one mapping: tool choice, response format, metadata."""
FAULT = "tracediff.fault"
"""What is wrong with an answer that came with status 200: ``truncated`` (a stream cut without a finish reason),
``abandoned`` (the program stopped reading), ``empty``, ``not_json`` (an HTML page), ``broken_json``."""
