"""Ways in: what somebody shows, and the tokens and sessions they are given for it."""
