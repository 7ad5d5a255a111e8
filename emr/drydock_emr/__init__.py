"""A local Amazon EMR on EC2: a control plane that speaks its API, and nodes that do the work."""
