"""OpenAI's responses: answers that are kept for a day, followed again, and gone on from."""
