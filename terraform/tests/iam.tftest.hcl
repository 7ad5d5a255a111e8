# The three roles, and that each may do no more than it needs.

mock_provider "aws" {}

override_resource {
  target = aws_iam_role.service
  values = { arn = "arn:aws:iam::123456789012:role/emr-service-role" }
}

override_resource {
  target = aws_iam_role.instance
  values = { arn = "arn:aws:iam::123456789012:role/emr_instance_profile" }
}

override_resource {
  target = aws_iam_role.kestra
  values = { arn = "arn:aws:iam::123456789012:role/kestra-role" }
}

override_resource {
  target = aws_iam_role.kestra_host
  values = { arn = "arn:aws:iam::123456789012:role/kestra-host-role" }
}

variables {
  account_id = "123456789012"
  partition  = "aws"
  region     = "eu-central-1"
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
  cluster_tags = {
    "for-use-with-amazon-emr-managed-policies" = "true"
    platform                                   = "acme"
  }
  password_parameter = "/acme/kestra-password"
}

run "emr_passes_our_instance_role_to_ec2_and_no_other" {
  module {
    source = "./modules/iam"
  }

  assert {
    condition = jsonencode(jsondecode(aws_iam_role_policy.service.policy).Statement) == jsonencode([{
      Sid       = "PassInstanceRole"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = "arn:aws:iam::123456789012:role/emr_instance_profile"
      Condition = { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } }
    }])
    error_message = "The service role passes something else than our instance role to EC2: ${aws_iam_role_policy.service.policy}"
  }

  assert {
    condition     = aws_iam_role_policy_attachment.service.policy_arn == "arn:aws:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"
    error_message = "The service role has ${aws_iam_role_policy_attachment.service.policy_arn}."
  }

  assert {
    condition     = aws_iam_instance_profile.this.name == "emr_instance_profile" && aws_iam_instance_profile.this.role == "emr_instance_profile"
    error_message = "EMR looks for the role by the instance profile's name, so both must have the same."
  }
}

run "a_prefix_stands_before_every_role" {
  module {
    source = "./modules/iam"
  }

  variables {
    name_prefix = "acme-"
  }

  assert {
    condition = [
      aws_iam_role.service.name,
      aws_iam_role.instance.name,
      aws_iam_instance_profile.this.name,
      aws_iam_role.kestra.name,
    ] == ["acme-emr-service-role", "acme-emr_instance_profile", "acme-emr_instance_profile", "acme-kestra-role"]
    error_message = "A role has no prefix, or another name than its instance profile."
  }
}

run "only_this_account_makes_emr_take_its_role" {
  module {
    source = "./modules/iam"
  }

  assert {
    condition = jsonencode(jsondecode(aws_iam_role.service.assume_role_policy).Statement) == jsonencode([{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "elasticmapreduce.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = "123456789012" }
        ArnLike      = { "aws:SourceArn" = "arn:aws:elasticmapreduce:eu-central-1:123456789012:*" }
      }
    }])
    error_message = "The service role is trusted by something else: ${aws_iam_role.service.assume_role_policy}"
  }
}

run "no_policy_of_ours_has_a_wildcard_action" {
  module {
    source = "./modules/iam"
  }

  assert {
    condition = alltrue([
      for action in flatten([
        for policy in [
          aws_iam_role_policy.service.policy,
          aws_iam_role_policy.instance.policy,
          aws_iam_role_policy.kestra_clusters.policy,
          aws_iam_role_policy.kestra_objects.policy,
        ] : [for statement in jsondecode(policy).Statement : statement.Action]
      ]) : !strcontains(action, "*")
    ])
    error_message = "An action has a wildcard."
  }

  assert {
    condition = toset([
      for statement in jsondecode(aws_iam_role_policy.kestra_clusters.policy).Statement : statement.Sid
      if contains(flatten([statement.Resource]), "*")
    ]) == toset(["CreateTaggedClusters", "FindClusters"])
    error_message = "kestra-role may act on any resource in a statement that should name its own."
  }
}

run "kestra_makes_and_touches_only_clusters_with_our_tags" {
  module {
    source = "./modules/iam"
  }

  # All of its rights on EMR, each with what it is bound to. That these are the driver's calls and no others:
  # tests/driver/test_permissions.py.
  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.kestra_clusters.policy).Statement :
      statement.Sid => {
        effect    = statement.Effect
        actions   = join(" ", sort([for action in flatten([statement.Action]) : trimprefix(action, "elasticmapreduce:")]))
        resources = join(" ", flatten([statement.Resource]))
        condition = jsonencode(try(statement.Condition, {}))
      } if strcontains(jsonencode(statement.Action), "elasticmapreduce:")
      } == {
      CreateTaggedClusters = {
        effect    = "Allow"
        actions   = "PutAutoTerminationPolicy RunJobFlow"
        resources = "*"
        condition = jsonencode({ StringEquals = {
          "aws:RequestTag/for-use-with-amazon-emr-managed-policies" = "true"
          "aws:RequestTag/platform"                                 = "acme"
        } })
      }
      TagNewAndOwnClusters = {
        effect    = "Allow"
        actions   = "AddTags"
        resources = "arn:aws:elasticmapreduce:eu-central-1:123456789012:cluster/*"
        condition = jsonencode({
          StringEquals = {
            "aws:RequestTag/for-use-with-amazon-emr-managed-policies" = "true"
            "aws:RequestTag/platform"                                 = "acme"
          }
          StringEqualsIfExists = {
            "aws:ResourceTag/for-use-with-amazon-emr-managed-policies" = "true"
            "aws:ResourceTag/platform"                                 = "acme"
          }
        })
      }
      OperateOwnClusters = {
        effect    = "Allow"
        actions   = "AddJobFlowSteps CancelSteps DescribeCluster DescribeStep ListSteps TerminateJobFlows"
        resources = "arn:aws:elasticmapreduce:eu-central-1:123456789012:cluster/*"
        condition = jsonencode({ StringEquals = {
          "aws:ResourceTag/for-use-with-amazon-emr-managed-policies" = "true"
          "aws:ResourceTag/platform"                                 = "acme"
        } })
      }
      FindClusters = { effect = "Allow", actions = "ListClusters", resources = "*", condition = "{}" }
    }
    error_message = "kestra-role may do something else to clusters than to make, tag, find and operate its own: ${aws_iam_role_policy.kestra_clusters.policy}"
  }
}

run "kestra_passes_each_role_to_its_own_service" {
  module {
    source = "./modules/iam"
  }

  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.kestra_clusters.policy).Statement :
      statement.Resource => statement.Condition.StringEquals["iam:PassedToService"] if statement.Action == "iam:PassRole"
      } == {
      "arn:aws:iam::123456789012:role/emr-service-role"     = "elasticmapreduce.amazonaws.com"
      "arn:aws:iam::123456789012:role/emr_instance_profile" = "ec2.amazonaws.com"
    }
    error_message = "kestra-role passes other roles, or to other services."
  }
}

run "instances_write_data_and_logs_and_cannot_change_jobs" {
  module {
    source = "./modules/iam"
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.instance.policy).Statement : statement.Resource
      if length(setintersection(flatten([statement.Action]), ["s3:PutObject", "s3:DeleteObject"])) > 0
      ])) == toset([
      "arn:aws:s3:::acme-source/raw/shipment/*",
      "arn:aws:s3:::acme-output/*",
      "arn:aws:s3:::acme-logs/emr/*",
    ])
    error_message = "Instances write elsewhere than raw data, tables and logs."
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.instance.policy).Statement : statement.Resource
      if contains(flatten([statement.Action]), "s3:DeleteObject")
    ])) == toset(["arn:aws:s3:::acme-source/raw/shipment/*", "arn:aws:s3:::acme-output/*"])
    error_message = "Instances delete elsewhere than in raw data and tables: logs are never theirs to delete."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.instance.policy, "iam:") && !strcontains(aws_iam_role_policy.instance.policy, "elasticmapreduce:")
    error_message = "Instances have no business with roles or clusters."
  }
}

run "kestra_reads_configuration_and_logs_and_no_data" {
  module {
    source = "./modules/iam"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(aws_iam_role_policy.kestra_objects.policy).Statement : statement.Resource])) == toset([
      "arn:aws:s3:::acme-input/config/*",
      "arn:aws:s3:::acme-logs",
      "arn:aws:s3:::acme-logs/emr/*",
      "arn:aws:s3:::acme-audit/kestra/*",
    ])
    error_message = "kestra-role reaches other objects: ${aws_iam_role_policy.kestra_objects.policy}"
  }
}

run "this_account_decides_who_works_as_kestra" {
  module {
    source = "./modules/iam"
  }

  assert {
    condition     = jsonencode([for statement in jsondecode(aws_iam_role.kestra.assume_role_policy).Statement : statement.Principal]) == jsonencode([{ Service = "ec2.amazonaws.com" }, { AWS = ["arn:aws:iam::123456789012:root"] }])
    error_message = "kestra-role is trusted by others: ${aws_iam_role.kestra.assume_role_policy}"
  }
}

run "named_principals_take_the_accounts_place" {
  module {
    source = "./modules/iam"
  }

  variables {
    kestra_trusted_principals = ["arn:aws:iam::123456789012:user/alice"]
  }

  assert {
    condition     = jsondecode(aws_iam_role.kestra.assume_role_policy).Statement[1].Principal.AWS == ["arn:aws:iam::123456789012:user/alice"]
    error_message = "kestra-role is trusted by others: ${aws_iam_role.kestra.assume_role_policy}"
  }
}

run "without_being_asked_for_there_is_no_role_of_a_host" {
  module {
    source = "./modules/iam"
  }

  assert {
    condition     = length(aws_iam_role.kestra_host) + length(aws_iam_role_policy.kestra_host) + length(aws_iam_instance_profile.kestra_host) == 0 && output.kestra_host == null
    error_message = "There is a role that nothing takes."
  }
}

run "kestras_host_takes_kestra_role_beside_whoever_else_may" {
  module {
    source = "./modules/iam"
  }

  variables {
    kestra_host               = true
    kestra_trusted_principals = ["arn:aws:iam::123456789012:user/alice"]
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role.kestra.assume_role_policy).Statement : jsonencode(statement.Principal)] == [
      jsonencode({ Service = "ec2.amazonaws.com" }),
      jsonencode({ AWS = ["arn:aws:iam::123456789012:user/alice"] }),
      jsonencode({ AWS = "arn:aws:iam::123456789012:role/kestra-host-role" }),
    ]
    error_message = "kestra-role is trusted by others: ${aws_iam_role.kestra.assume_role_policy}"
  }
}

run "kestras_host_reads_its_bundles_says_what_runs_and_acts_as_the_driver" {
  module {
    source = "./modules/iam"
  }

  variables {
    kestra_host = true
    name_prefix = "acme-"
  }

  assert {
    condition = jsonencode(jsondecode(aws_iam_role_policy.kestra_host[0].policy).Statement) == jsonencode([
      {
        Sid      = "ReadBundles"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "arn:aws:s3:::acme-input/bundles/*"
      },
      {
        Sid      = "SayWhatRuns"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "arn:aws:s3:::acme-input/bundles/host.json"
      },
      {
        Sid      = "ActAsTheDriver"
        Effect   = "Allow"
        Action   = "sts:AssumeRole"
        Resource = "arn:aws:iam::123456789012:role/kestra-role"
      },
      {
        Sid         = "ReadNoOtherParameter"
        Effect      = "Deny"
        Action      = ["ssm:GetParameter", "ssm:GetParameters"]
        NotResource = "arn:aws:ssm:eu-central-1:123456789012:parameter/acme/kestra-password"
      },
    ])
    error_message = "The host may do something else: ${aws_iam_role_policy.kestra_host[0].policy}"
  }

  assert {
    condition     = aws_iam_role_policy_attachment.kestra_host[0].policy_arn == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    error_message = "Systems Manager does not reach it."
  }

  assert {
    condition     = jsondecode(aws_iam_role.kestra_host[0].assume_role_policy).Statement[0].Principal == { Service = "ec2.amazonaws.com" }
    error_message = "Somebody else than EC2 takes its role."
  }

  assert {
    condition     = [aws_iam_role.kestra_host[0].name, aws_iam_instance_profile.kestra_host[0].name] == ["acme-kestra-host-role", "acme-kestra-host-role"]
    error_message = "A name has no prefix."
  }
}

run "a_job_reads_no_parameter_although_aws_s_policy_for_ssm_lets_it" {
  module {
    source = "./modules/iam"
  }

  assert {
    condition = jsonencode(jsondecode(aws_iam_role_policy.instance_parameters[0].policy).Statement) == jsonencode([{
      Sid      = "NoParameters"
      Effect   = "Deny"
      Action   = ["ssm:GetParameter", "ssm:GetParameters"]
      Resource = "*"
    }])
    error_message = "A job can read the account's parameters, secrets among them."
  }
}

run "ssm_is_a_choice" {
  module {
    source = "./modules/iam"
  }

  variables {
    enable_ssm = false
  }

  assert {
    condition     = length(aws_iam_role_policy_attachment.instance_ssm) + length(aws_iam_role_policy.instance_parameters) == 0
    error_message = "SSM was switched off, and instances still have its policy."
  }
}

run "clusters_without_tags_are_refused" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    cluster_tags = {}
  }

  expect_failures = [var.cluster_tags]
}
