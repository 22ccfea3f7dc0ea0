"""Speed, shown as ratios in one run: ours, a peer and the raw limit, in turns, on the same two cores."""
