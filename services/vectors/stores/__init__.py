"""Vector stores, as OpenAI's clients have them: collections, what is told of them, and the files attached to them."""
