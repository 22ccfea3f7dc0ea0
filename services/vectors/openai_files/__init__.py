"""Files as OpenAI's clients upload, list and read them: those of `/vectors/files`."""
