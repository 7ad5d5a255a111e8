# The buckets, and whom their policies name.

mock_provider "aws" {}

variables {
  partition = "aws"
  buckets = {
    input  = "acme-input"
    source = "acme-source"
    output = "acme-output"
    logs   = "acme-logs"
    audit  = "acme-audit"
  }
  folders = {
    application = "app"
    config      = "config"
    bundles     = "bundles"
    source      = "raw/shipment"
    logs        = "emr"
    audit       = "kestra"
  }
  instance_role_arn = "arn:aws:iam::123456789012:role/emr_instance_profile"
  kestra_role_arn   = "arn:aws:iam::123456789012:role/kestra-role"
  retention_days    = { source = 365, logs = 90, audit = 180 }
}

run "every_bucket_is_closed_to_the_public" {
  module {
    source = "./modules/storage"
  }

  assert {
    condition     = toset([for bucket in aws_s3_bucket.this : bucket.bucket]) == toset(values(var.buckets))
    error_message = "Other buckets than were asked for."
  }

  assert {
    condition = keys(aws_s3_bucket_public_access_block.this) == keys(var.buckets) && alltrue([
      for block in aws_s3_bucket_public_access_block.this :
      block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets
    ])
    error_message = "A bucket is not closed to the public."
  }

  assert {
    condition     = alltrue([for bucket in aws_s3_bucket.this : !bucket.force_destroy])
    error_message = "Unless it is asked for, no bucket with data may be deleted."
  }
}

run "policies_name_roles_and_their_own_bucket" {
  module {
    source = "./modules/storage"
  }

  assert {
    condition = alltrue(flatten([
      for purpose, policy in aws_s3_bucket_policy.this : [
        for statement in jsondecode(policy.policy).Statement :
        contains([var.instance_role_arn, var.kestra_role_arn], statement.Principal.AWS)
        && startswith("${statement.Resource}/", "arn:aws:s3:::${var.buckets[purpose]}/")
        if statement.Effect == "Allow"
      ]
    ]))
    error_message = "A policy names somebody else than the two roles, or another bucket."
  }

  assert {
    condition = { for purpose, policy in aws_s3_bucket_policy.this : purpose => toset([
      for statement in jsondecode(policy.policy).Statement : "${reverse(split("/", statement.Principal.AWS))[0]} ${statement.Resource}"
      if statement.Effect == "Allow" && can(index(statement.Action, "s3:PutObject"))
      ]) } == {
      input  = toset([])
      source = toset(["emr_instance_profile arn:aws:s3:::acme-source/raw/shipment/*"])
      output = toset(["emr_instance_profile arn:aws:s3:::acme-output/*"])
      logs   = toset(["emr_instance_profile arn:aws:s3:::acme-logs/emr/*"])
      audit  = toset(["kestra-role arn:aws:s3:::acme-audit/kestra/*"])
    }
    error_message = "Who writes where is not as it should be."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_s3_bucket_policy.this["logs"].policy).Statement : statement.Condition.StringLike["s3:prefix"]
      if statement.Effect == "Allow" && can(index(statement.Action, "s3:ListBucket"))
    ] == ["emr/*"]
    error_message = "The logs can be listed outside of EMR's folder."
  }
}

run "kestras_host_reads_bundles_and_says_what_runs" {
  module {
    source = "./modules/storage"
  }

  variables {
    kestra_host_role_arns = ["arn:aws:iam::123456789012:role/kestra-host-role"]
  }

  assert {
    condition = {
      for statement in jsondecode(aws_s3_bucket_policy.this["input"].policy).Statement :
      join(" ", flatten([statement.Action])) => statement.Resource if endswith(try(statement.Principal.AWS, ""), "kestra-host-role")
      } == {
      "s3:GetObject" = "arn:aws:s3:::acme-input/bundles/*"
      "s3:PutObject" = "arn:aws:s3:::acme-input/bundles/host.json"
    }
    error_message = "The host may do something else with the input bucket."
  }
}

run "data_may_be_thrown_away_where_it_is_asked_for" {
  command = plan

  module {
    source = "./modules/storage"
  }

  variables {
    force_destroy = true
  }

  assert {
    condition     = alltrue([for bucket in aws_s3_bucket.this : bucket.force_destroy])
    error_message = "force_destroy does not reach every bucket."
  }
}

run "what_is_not_encrypted_on_its_way_is_refused_by_every_bucket" {
  module {
    source = "./modules/storage"
  }

  assert {
    condition = alltrue([
      for purpose, policy in aws_s3_bucket_policy.this : [
        for statement in jsondecode(policy.policy).Statement : {
          action    = statement.Action
          principal = statement.Principal.AWS
          resource  = statement.Resource
          condition = jsonencode(statement.Condition)
        } if statement.Effect == "Deny"
        ] == [{
          action    = "s3:*"
          principal = "*"
          resource  = ["arn:aws:s3:::${var.buckets[purpose]}", "arn:aws:s3:::${var.buckets[purpose]}/*"]
          condition = jsonencode({ Bool = { "aws:SecureTransport" = "false" } })
      }]
    ])
    error_message = "A bucket takes what comes over plain HTTP."
  }

  assert {
    condition     = keys(aws_s3_bucket_server_side_encryption_configuration.this) == keys(var.buckets)
    error_message = "A bucket does not say that it encrypts."
  }
}

run "what_was_overwritten_goes_after_a_month_and_raw_data_and_logs_later" {
  module {
    source = "./modules/storage"
  }

  assert {
    condition     = keys(aws_s3_bucket_versioning.this) == keys(var.buckets)
    error_message = "A bucket forgets at once what is overwritten."
  }

  assert {
    condition = alltrue([
      for lifecycle in aws_s3_bucket_lifecycle_configuration.this : length([
        for rule in lifecycle.rule : rule if rule.status == "Enabled" && (
          try(rule.abort_incomplete_multipart_upload[0].days_after_initiation, 0) == 7
          || try(rule.noncurrent_version_expiration[0].noncurrent_days, 0) == 30
        )
      ]) == 2
    ])
    error_message = "A bucket keeps for ever what was overwritten, or uploads that nobody completed."
  }

  assert {
    condition = {
      for purpose, lifecycle in aws_s3_bucket_lifecycle_configuration.this : purpose => [
        for rule in lifecycle.rule : "${rule.filter[0].prefix} ${rule.expiration[0].days}" if rule.id == "expire"
      ]
      } == {
      input  = []
      source = ["raw/shipment/ 365"]
      output = []
      logs   = ["emr/ 90"]
      audit  = ["kestra/ 180"]
    }
    error_message = "Other objects expire than should."
  }
}

run "without_versioning_nothing_is_said_of_versions" {
  module {
    source = "./modules/storage"
  }

  variables {
    versioning = false
  }

  assert {
    condition = length(aws_s3_bucket_versioning.this) == 0 && alltrue([
      for lifecycle in aws_s3_bucket_lifecycle_configuration.this :
      !contains([for rule in lifecycle.rule : rule.id], "forget-what-was-overwritten-or-deleted")
    ])
    error_message = "There are versions, or rules for them."
  }
}
