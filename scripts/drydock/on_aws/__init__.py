"""The platform in an AWS account of the caller's: what the verbs `deploy-aws`, `aws-run` and their like consist of."""
