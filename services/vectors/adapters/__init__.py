"""One file per outside system; what its driver raises is translated here."""
