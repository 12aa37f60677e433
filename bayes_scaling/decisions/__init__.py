"""What a posterior is worth: a choice under a budget, and how sure it is."""
