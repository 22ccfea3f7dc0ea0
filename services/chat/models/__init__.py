"""Models: which there are, at which provider, what they can hold, and who answers when one is away."""
