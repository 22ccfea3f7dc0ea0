"""What each engine can do here."""
