"""The EMR driver: creates a cluster, runs a step on it, follows its logs, and always ends the cluster.

It is what flows run, in an image with no more than Python, boto3 and Typer, and it knows AWS's API alone.
"""
