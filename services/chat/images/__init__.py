"""Images that users show: what they are, how long they are in a prompt, and which are refused."""
