"""What was said in a conversation before the turns that its model is still given, in short."""
