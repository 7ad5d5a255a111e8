# The platform on AWS. bucket_prefix has no default that could be right: it is asked for when this profile is applied.
s3_use_path_style = false
force_destroy     = false
