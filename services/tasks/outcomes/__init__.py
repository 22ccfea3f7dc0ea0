"""What became of ingestions, for who may read the collection that they fill."""
