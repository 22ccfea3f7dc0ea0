"""What an agent may call while it answers: tools of its tenant, and those that chat has itself."""
