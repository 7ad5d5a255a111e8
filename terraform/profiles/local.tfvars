# The platform on one machine: AWS_ENDPOINT_URL leads to the local gateway.
s3_use_path_style = true
force_destroy     = true
