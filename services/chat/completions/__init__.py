"""A door of OpenAI's clients: a question with all of its history, answered by an agent or a model."""
