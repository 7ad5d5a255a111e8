# The platform on AWS. What runs Terraform gives it the region of the account's environment and a name_prefix.
s3_use_path_style = false
force_destroy     = false
versioning        = true
lifecycle_rules   = true

# A host in the account that runs Kestra, so that schedules fire there: some $67 a month. None unless it is set.
# kestra_host = {}                                  # or { instance_type = "t3.xlarge", volume_gb = 50 }

# A mail before a month costs more than this; none unless it is set.
# budget = { usd_a_month = 25, email = "ops@example.com" }
