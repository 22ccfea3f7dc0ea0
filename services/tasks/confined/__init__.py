"""Programs that may die of what they are given: what parses a stranger's bytes runs in a process of its own.

`room` is the worker's side, `__main__` the program's; both know `frames`, `limits` and `ends`. What is done inside is a
module with `run(talk)`: `services.tasks.documents.inside`, `services.tasks.dumps.inside`.
"""
