"""What is said in a conversation, one item at a time, in OpenAI's shapes."""
