"""What follows from a posterior of Kaplan's laws: claims, the compute-optimal frontier, efforts, stopping, bottlenecks."""
