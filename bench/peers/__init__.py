"""The peers: their programs, which import nothing of ours, and how they are installed and started."""
