"""What auth writes to people: letters that leave after the answer, how many of them, and the tokens they hold."""
