"""Runs ChromaDB's server without loading its Python client, which would cost a second and 60 MB for nothing."""

import sys

import chromadb_rust_bindings  # type: ignore[import-untyped] # a compiled module


def main() -> None:
    """Takes the arguments of the `chroma` command."""
    chromadb_rust_bindings.cli(["chroma", *sys.argv[1:]])


if __name__ == "__main__":
    main()
