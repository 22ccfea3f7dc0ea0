"""The systems outside, one file each."""
