"""`python glosses.py WORDNET DIMENSION FILE`: what WordNet says about each meaning, embedded by wordllama.

A line of its `data.*` ends in ` | ` and the gloss (`wndb(5)`). Two meanings may be explained alike: the second is left
out, as nothing could tell which of the two is nearer. In an order of no meaning, so that the last are of all kinds.
"""

import random
import sys
from pathlib import Path

import numpy as np
import wordllama


def texts(folder):
    lines = (line for file in sorted(folder.glob("data.*")) for line in file.read_text("latin-1").splitlines())
    found = sorted({line.partition(" | ")[2].strip() for line in lines if " | " in line})
    random.Random(20261126).shuffle(found)
    return found


def main(wordnet, dimension, file):
    found = texts(Path(wordnet))
    model = wordllama.WordLlama.load(
        dim=int(dimension), cache_dir=Path(wordllama.__file__).parent, disable_download=True
    )
    vectors = model.embed(found, norm=True).astype(np.float32)
    _, first = np.unique(vectors, axis=0, return_index=True)
    kept = np.sort(first)
    draft = Path(file).with_suffix(".new.npz")
    lines = "\n".join(found[at] for at in kept)
    np.savez(draft, vectors=vectors[kept], texts=np.frombuffer(lines.encode(), dtype=np.uint8))
    draft.replace(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
