"""How agents stand to each other: who delegates to whom, who reports to whom, who shares what they know."""
