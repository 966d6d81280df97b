"""What a Dify server says: events and bodies as its service API frames them.

Every figure is fixed. An answer's ids follow from its number, so that a test can name them.
"""

import json
import uuid
from collections.abc import Iterator
from typing import Any

PING = b"event: ping\n\n"
CREATED_S = 1_705_407_629
WORDS = ("Dify", " answers", " in", " pieces", ".")
MODEL = "gpt-4o"
SMALL_MODEL = "deepseek-chat"
PROMPT_TOKENS = 1033
COMPLETION_TOKENS = 128
SMALL_PROMPT_TOKENS = 400
SMALL_COMPLETION_TOKENS = 20


class Ids:
    """The ids of one answer."""

    def __init__(self, number: int) -> None:
        self.message = self._make(number, 1)
        self.run = self._make(number, 2)
        self.conversation = self._make(number, 3)
        self.task = self._make(number, 4)
        self.workflow = self._make(0, 5)

    @staticmethod
    def _make(number: int, kind: int) -> str:
        return str(uuid.UUID(int=(number << 16) | kind | (4 << 76), version=4))


def event(value: Any) -> bytes:
    """Dify writes JSON as Python's json.dumps does, blanks and escapes included."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def usage(prompt: int = PROMPT_TOKENS, completion: int = COMPLETION_TOKENS) -> dict[str, Any]:
    """Dify's own usage; the prices come in every notation that Decimal prints."""
    return {
        "prompt_tokens": prompt,
        "prompt_unit_price": "0.001",
        "prompt_price_unit": "0.001",
        "prompt_price": "0.0010330",
        "completion_tokens": completion,
        "completion_unit_price": "8E-7",
        "completion_price_unit": "0.001",
        "completion_price": "8E-7",
        "total_tokens": prompt + completion,
        "total_price": "0.0010338",
        "currency": "USD",
        "latency": 0.7682856119994,
    }


def free_usage() -> dict[str, Any]:
    """A model without a price in Dify: it says 0 and USD, and is not free."""
    prices = ("prompt_price", "completion_price", "total_price")
    units = ("prompt_unit_price", "completion_unit_price")
    return usage() | dict.fromkeys((*prices, *units), "0")


def total_usage() -> dict[str, Any]:
    """Of both nodes of the chatflow."""
    return usage(PROMPT_TOKENS + SMALL_PROMPT_TOKENS, COMPLETION_TOKENS + SMALL_COMPLETION_TOKENS)


def _common(ids: Ids, name: str, **more: Any) -> dict[str, Any]:
    chat = {"conversation_id": ids.conversation, "message_id": ids.message}
    return {"event": name, **chat, "created_at": CREATED_S, "task_id": ids.task, **more}


def pieces(ids: Ids, name: str = "message", **more: Any) -> Iterator[bytes]:
    for number, word in enumerate(WORDS):
        if number == 2:
            yield PING
        yield event(_common(ids, name, id=ids.message, answer=word, **more))


def message_end(ids: Ids, counted: dict[str, Any] | None) -> bytes:
    metadata: dict[str, Any] = {"annotation_reply": None, "retriever_resources": []}
    if counted is not None:
        metadata["usage"] = counted
    return event(_common(ids, "message_end", id=ids.message, metadata=metadata, files=None))


def error(ids: Ids, status: int = 400, code: str = "invalid_param") -> bytes:
    return event(
        _common(ids, "error", code=code, message="The model refused the request.", status=status)
    )


def chat(ids: Ids, counted: dict[str, Any] | None = None) -> Iterator[bytes]:
    """A basic chat app."""
    yield from pieces(ids)
    yield message_end(ids, usage() if counted is None else counted)


def agent(ids: Ids) -> Iterator[bytes]:
    thought = {"id": ids.run, "position": 1, "thought": "I think", "observation": "", "tool": ""}
    yield event(_common(ids, "agent_thought", **thought))
    yield from pieces(ids, "agent_message")
    yield message_end(ids, usage())


def completion(ids: Ids) -> Iterator[bytes]:
    for part in chat(ids):
        if part == PING:
            yield part
            continue
        value = json.loads(part[6:])
        del value["conversation_id"]
        yield event(value)


def no_usage(ids: Ids) -> Iterator[bytes]:
    yield from pieces(ids)
    yield message_end(ids, None)


# --- workflows, within a chat (chatflow) or by themselves ---


def _workflow(ids: Ids, name: str, data: dict[str, Any], *, is_chat: bool) -> bytes:
    value = {"task_id": ids.task, "workflow_run_id": ids.run, "data": data}
    if is_chat:
        return event({**_common(ids, name), **value})
    return event({"event": name, **value})


def workflow_started(ids: Ids, *, is_chat: bool) -> bytes:
    data = {"id": ids.run, "workflow_id": ids.workflow, "inputs": {}, "created_at": CREATED_S}
    return _workflow(ids, "workflow_started", data, is_chat=is_chat)


def node_finished(
    ids: Ids,
    number: int,
    model: str | None,
    counted: dict[str, Any] | None,
    *,
    is_chat: bool,
    prompt: str = "hello",
    kind: str = "llm",
    total: int | None = None,
) -> bytes:
    """One node; `model` None: it is not an LLM's, or does not say so."""
    process: dict[str, Any] | None = None
    if model is not None:
        process = {"model_mode": "chat", "prompts": [{"role": "user", "text": prompt}]}
        process |= {"usage": counted, "finish_reason": "stop"}
        process |= {"model_provider": "langgenius/openai/openai", "model_name": model}
    if total is None:
        total = counted["total_tokens"] if counted else 0
    data = {
        "id": f"{ids.run[:-4]}{number:04d}",
        "node_id": str(1_700_000_000_000 + number),
        "node_type": kind,
        "title": 'LLM "one"',
        "index": number,
        "inputs": None,
        "process_data": process,
        "outputs": {"text": 'a "message_end" in a text is no event'},
        "status": "succeeded",
        "error": None,
        "elapsed_time": 0.5,
        "execution_metadata": {"total_tokens": total, "total_price": "8E-7", "currency": "USD"},
        "created_at": CREATED_S,
        "finished_at": CREATED_S + 1,
        "files": [],
    }
    return _workflow(ids, "node_finished", data, is_chat=is_chat)


def workflow_finished(
    ids: Ids, total: int, *, is_chat: bool, status: str = "succeeded", **more: Any
) -> bytes:
    data = {
        "id": ids.run,
        "workflow_id": ids.workflow,
        "status": status,
        "outputs": {"answer": "".join(WORDS)} if status == "succeeded" else None,
        "error": None if status == "succeeded" else "The model refused the request.",
        "elapsed_time": 0.9,
        "total_tokens": total,
        "total_steps": 3,
        "created_at": CREATED_S,
        "finished_at": CREATED_S + 1,
        **more,
    }
    return _workflow(ids, "workflow_finished", data, is_chat=is_chat)


def _nodes(ids: Ids, *, is_chat: bool) -> Iterator[bytes]:
    """A node that is no model's, and two that are."""
    small = usage(SMALL_PROMPT_TOKENS, SMALL_COMPLETION_TOKENS)
    yield node_finished(ids, 1, None, None, is_chat=is_chat, kind="start")
    yield node_finished(ids, 2, SMALL_MODEL, small, is_chat=is_chat, kind="question-classifier")
    yield node_finished(ids, 3, MODEL, usage(), is_chat=is_chat)


def chatflow(ids: Ids, *, is_message_end_first: bool = False) -> Iterator[bytes]:
    yield workflow_started(ids, is_chat=True)
    yield from pieces(ids)
    yield from _nodes(ids, is_chat=True)
    counted = total_usage()
    last = [
        workflow_finished(ids, counted["total_tokens"], is_chat=True),
        message_end(ids, counted),
    ]
    yield from reversed(last) if is_message_end_first else last


def failed_chatflow(ids: Ids) -> Iterator[bytes]:
    """No message_end, although the first node has spent tokens."""
    small = usage(SMALL_PROMPT_TOKENS, SMALL_COMPLETION_TOKENS)
    yield workflow_started(ids, is_chat=True)
    yield node_finished(ids, 2, SMALL_MODEL, small, is_chat=True)
    yield workflow_finished(ids, small["total_tokens"], is_chat=True, status="failed")
    yield error(ids)


def workflow(ids: Ids) -> Iterator[bytes]:
    yield workflow_started(ids, is_chat=False)
    for word in WORDS:
        data = {"text": word, "from_variable_selector": ["3", "text"]}
        yield _workflow(ids, "text_chunk", data, is_chat=False)
    yield PING
    yield from _nodes(ids, is_chat=False)
    yield workflow_finished(ids, total_usage()["total_tokens"], is_chat=False)


def unnamed_workflow(ids: Ids) -> Iterator[bytes]:
    """Of an older Dify: no node says its model, and only a total comes in the end."""
    yield workflow_started(ids, is_chat=False)
    yield workflow_finished(ids, total_usage()["total_tokens"], is_chat=False)


# --- blocking ---


def blocking(ids: Ids, path: str, counted: dict[str, Any] | None) -> dict[str, Any]:
    if path == "workflows/run":
        body = json.loads(next(iter([workflow_finished(ids, 1581, is_chat=False)]))[6:])
        del body["event"]
        return dict(body)
    metadata: dict[str, Any] = {"annotation_reply": None, "retriever_resources": []}
    if counted is not None:
        metadata["usage"] = counted
    body = {
        "event": "message",
        "task_id": ids.task,
        "id": ids.message,
        "message_id": ids.message,
        "conversation_id": ids.conversation,
        "mode": "chat",
        "answer": "".join(WORDS),
        "metadata": metadata,
        "created_at": CREATED_S,
    }
    if path == "completion-messages":
        del body["conversation_id"]
        body["mode"] = "completion"
    return body


def error_body(status: int, code: str) -> dict[str, Any]:
    return {"code": code, "message": f"Refused: {code}.", "status": status}
