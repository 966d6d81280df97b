"""The protocols that metered requests speak."""

import enum


class Dialect(enum.StrEnum):
    """The protocol that a request speaks."""

    OPENAI_CHAT = "openai_chat"
    OPENAI_COMPLETIONS = "openai_completions"
    OPENAI_EMBEDDINGS = "openai_embeddings"
    OPENAI_RESPONSES = "openai_responses"
    ANTHROPIC_MESSAGES = "anthropic_messages"
    DIFY_CHAT = "dify_chat"
    DIFY_COMPLETION = "dify_completion"
    DIFY_WORKFLOW = "dify_workflow"

    @property
    def is_dify(self) -> bool:
        return self._value_.startswith("dify_")
