"""What a posterior is asked: each question a document with one answer."""
