"""Vector collections on Qdrant, ChromaDB and FAISS behind one contract."""
