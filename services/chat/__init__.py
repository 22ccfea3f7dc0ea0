"""Chat: turns of a conversation with an agent, answered by a language model from the agent's knowledge."""
