"""Long-lived credentials for programs."""
