"""Tasks that come again by the clock: kept as rows, each moment made into a task once."""
