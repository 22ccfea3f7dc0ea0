"""Files: uploaded whole or in pieces, kept as they are, and read by whoever ingests them."""
