# The platform on AWS. bucket_prefix has no value that could be right for all: Terraform asks for it.
s3_use_path_style = false
force_destroy     = false
