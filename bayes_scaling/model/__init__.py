"""What is fitted: the document, its priors, and everything that follows from a document and a table."""
