"""Neo4j on a JVM inside a Python process."""
