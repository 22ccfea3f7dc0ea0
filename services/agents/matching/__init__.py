"""Who can do something: by their own skill, or because whom they delegate to can."""
