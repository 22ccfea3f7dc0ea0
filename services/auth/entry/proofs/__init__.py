"""Proving an address: the one that an account was made with, or another one later."""
