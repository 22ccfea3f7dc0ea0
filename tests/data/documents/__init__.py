"""Twelve small documents of our own, two of each type and in five languages; `make.py` writes them."""
