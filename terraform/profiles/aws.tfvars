# The platform on AWS. What runs Terraform gives it the region of the account's environment and a name_prefix.
s3_use_path_style = false
force_destroy     = false
versioning        = true
lifecycle_rules   = true
