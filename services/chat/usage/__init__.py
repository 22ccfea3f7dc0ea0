"""What turns use up: counted with the end of each run, shown by day, agent, model, key and user."""
