# The security groups, and the description of the clusters.

mock_provider "aws" {}

override_resource {
  target = aws_security_group.master
  values = { id = "sg-11111111" }
}

override_resource {
  target = aws_security_group.slave
  values = { id = "sg-22222222" }
}

variables {
  platform             = "acme"
  region               = "us-east-1"
  account_id           = "123456789012"
  vpc_id               = "vpc-1"
  subnet_id            = "subnet-1"
  tags                 = { "for-use-with-amazon-emr-managed-policies" = "true" }
  cluster_tags         = { platform = "acme" }
  service_role         = "emr-service-role"
  instance_profile     = "emr_instance_profile"
  kestra_role_arn      = "arn:aws:iam::123456789012:role/kestra-role"
  release_label        = "emr-7.13.0"
  python_version       = "3.11"
  instance_types       = { master = "m5.xlarge", core = "m5.2xlarge" }
  core_count           = 2
  idle_timeout_seconds = 900
  uris = {
    application = "s3://acme-input/app/0a1b2c"
    wheels      = "s3://acme-input/app/wheels/1a2b3c"
    source      = "s3://acme-source/raw"
    output      = "s3://acme-output"
    logs        = "s3://acme-logs/emr"
    audit       = "s3://acme-audit/kestra"
  }
}

run "nodes_reach_each_other_and_nobody_reaches_them" {
  module {
    source = "./modules/emr"
  }

  assert {
    condition = toset([for rule in aws_vpc_security_group_ingress_rule.internal : "${rule.security_group_id} ${rule.referenced_security_group_id} ${rule.ip_protocol}"]) == toset([
      "sg-11111111 sg-11111111 -1",
      "sg-11111111 sg-22222222 -1",
      "sg-22222222 sg-11111111 -1",
      "sg-22222222 sg-22222222 -1",
    ])
    error_message = "Each group lets in both groups, in all protocols, and nothing else."
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.ssh) == 0
    error_message = "SSH is open to somebody without being asked for."
  }

  assert {
    condition     = aws_security_group.master.revoke_rules_on_delete && aws_security_group.slave.revoke_rules_on_delete
    error_message = "EMR's own rules would keep the groups from being deleted."
  }

  assert {
    condition     = aws_security_group.master.tags["for-use-with-amazon-emr-managed-policies"] == "true" && aws_security_group.slave.tags["for-use-with-amazon-emr-managed-policies"] == "true"
    error_message = "AmazonEMRServicePolicy_v2 does not act on a group without its tag."
  }
}

run "ssh_is_opened_to_whom_it_is_asked_for" {
  module {
    source = "./modules/emr"
  }

  variables {
    ssh_cidrs = ["203.0.113.7/32"]
  }

  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.ssh : "${rule.security_group_id} ${rule.cidr_ipv4} ${rule.ip_protocol} ${rule.from_port}-${rule.to_port}"]) == toset(["sg-11111111 203.0.113.7/32 tcp 22-22", "sg-22222222 203.0.113.7/32 tcp 22-22"])
    error_message = "SSH is not open to exactly that range on both groups."
  }
}

run "the_description_says_what_was_asked_for" {
  module {
    source = "./modules/emr"
  }

  variables {
    spark_defaults = { "spark.executor.memory" = "4g" }
  }

  assert {
    condition     = output.platform_config.security_groups == { master = "sg-11111111", slave = "sg-22222222" }
    error_message = "The description names other groups."
  }

  assert {
    condition     = output.platform_config.instance_types == { master = "m5.xlarge", core = "m5.2xlarge" } && output.platform_config.release_label == "emr-7.13.0"
    error_message = "The description names other machines or another release."
  }

  assert {
    condition     = { for c in output.platform_config.configurations : c.classification => c.properties }["spark-defaults"]["spark.executor.memory"] == "4g"
    error_message = "spark_defaults does not win over the module's own."
  }

  assert {
    condition     = { for c in output.platform_config.configurations : c.classification => c.properties }["spark-defaults"]["spark.pyspark.python"] == "python3.11"
    error_message = "The jobs would run with the release's default Python."
  }

  assert {
    condition     = output.platform_config.bootstrap_actions[0].path == "s3://acme-input/app/0a1b2c/bootstrap.sh" && output.platform_config.bootstrap_actions[0].args == ["s3://acme-input/app/wheels/1a2b3c"]
    error_message = "The bootstrap action is elsewhere."
  }
}

run "a_slash_at_the_end_of_a_uri_is_refused" {
  command = plan

  module {
    source = "./modules/emr"
  }

  variables {
    uris = {
      application = "s3://acme-input/app/0a1b2c/"
      wheels      = "s3://acme-input/app/wheels/1a2b3c"
      source      = "s3://acme-source/raw"
      output      = "s3://acme-output"
      logs        = "s3://acme-logs/emr"
      audit       = "s3://acme-audit/kestra"
    }
  }

  expect_failures = [var.uris]
}
