# The whole, as far as names and what may be asked for.

mock_provider "aws" {
  mock_data "aws_ec2_instance_type_offerings" {
    defaults = { locations = ["us-east-1a"] }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_ssm_parameter" {
    defaults = { insecure_value = "ami-0123456789abcdef0" }
  }
}

variables {
  name_prefix          = "acme-"
  release_label        = "emr-7.13.0"
  python_version       = "3.11"
  application_revision = "0a1b2c3d4e5f"
  wheels_revision      = "wheels/a1b2c3d4e5f6"
  docker = {
    engine_minimum  = "25.0"
    compose_version = "2.32.4"
    compose_sha256  = "ed1917fb54db184192ea9d0717bcd59e3662ea79db48bff36d3475516c480a6b"
  }
}

run "a_prefix_stands_before_every_bucket_and_role" {
  assert {
    condition     = output.platform_config.platform == "acme" && output.platform_config.tags.platform == "acme"
    error_message = "The platform is not told apart by its prefix."
  }

  assert {
    condition = [
      output.platform_config.application_uri,
      output.platform_config.source_uri,
      output.platform_config.output_uri,
      output.platform_config.log_uri,
      output.platform_config.audit_uri,
      ] == [
      "s3://acme-spark-job-data-input/spark_app/0a1b2c3d4e5f",
      "s3://acme-spark-job-data-source-1/data_source/shipment",
      "s3://acme-spark-job-data-output",
      "s3://acme-emr-cluster-spark-logs/test-emr-logs",
      "s3://acme-builditall-logs/kestra",
    ]
    error_message = "A bucket has no prefix."
  }

  assert {
    condition = [
      output.platform_config.roles.service,
      output.platform_config.roles.instance_profile,
    ] == ["acme-emr-service-role", "acme-emr_instance_profile"]
    error_message = "A role has no prefix."
  }

  assert {
    condition = output.platform_config.bootstrap_actions == [{
      name = "Install the jobs' Python packages"
      path = "s3://acme-spark-job-data-input/spark_app/0a1b2c3d4e5f/bootstrap.sh"
      args = ["s3://acme-spark-job-data-input/spark_app/wheels/a1b2c3d4e5f6"]
    }]
    error_message = "The bootstrap action is not that of the revision."
  }

  assert {
    condition     = output.platform_config_uri == "s3://acme-spark-job-data-input/config/platform.json"
    error_message = "The platform's description is somewhere else."
  }
}

run "a_revision_that_is_a_path_is_refused" {
  command = plan
  variables {
    application_revision = "../other"
  }
  expect_failures = [var.application_revision]
}

run "wheels_outside_of_their_folder_are_refused" {
  command = plan
  variables {
    wheels_revision = "a1b2c3d4e5f6"
  }
  expect_failures = [var.wheels_revision]
}

run "objects_that_go_at_once_are_refused" {
  command = plan
  variables {
    retention_days = { source = 0 }
  }
  expect_failures = [var.retention_days]
}

run "a_prefix_without_its_hyphen_is_refused" {
  command = plan
  variables {
    name_prefix = "acme"
  }
  expect_failures = [var.name_prefix]
}

run "a_prefix_that_no_security_group_can_have_is_refused" {
  command = plan
  variables {
    name_prefix = "sg-"
  }
  expect_failures = [var.name_prefix]
}

run "without_a_prefix_the_platform_is_drydock" {
  variables {
    name_prefix = ""
  }

  assert {
    condition     = output.platform_config.platform == "drydock" && output.platform_config.tags.platform == "drydock"
    error_message = "The local platform has another name."
  }
}

run "ssh_from_everywhere_is_refused" {
  command = plan
  variables {
    ssh_cidrs    = ["0.0.0.0/0"]
    ec2_key_name = "alice"
  }
  expect_failures = [var.ssh_cidrs]
}

run "ssh_from_everywhere_in_two_halves_is_refused" {
  command = plan
  variables {
    ssh_cidrs    = ["0.0.0.0/1", "128.0.0.0/1"]
    ec2_key_name = "alice"
  }
  expect_failures = [var.ssh_cidrs]
}

run "ssh_without_a_key_is_refused" {
  command = plan
  variables {
    ssh_cidrs = ["203.0.113.7/32"]
  }
  expect_failures = [var.ssh_cidrs]
}

run "ssh_has_its_key" {
  variables {
    ssh_cidrs    = ["203.0.113.7/32"]
    ec2_key_name = "alice"
  }

  assert {
    condition     = output.platform_config.ec2_key_name == "alice"
    error_message = "The clusters would have no key."
  }
}

run "a_key_without_a_name_is_refused" {
  command = plan
  variables {
    ec2_key_name = " "
  }
  expect_failures = [var.ec2_key_name]
}

run "a_zone_is_no_region" {
  command = plan
  variables {
    region = "us-east-1a"
  }
  expect_failures = [var.region]
}

run "a_machine_for_which_there_are_no_wheels_is_refused" {
  command = plan
  variables {
    instance_types = { master = "m5.xlarge", core = "m6g.xlarge" }
  }
  expect_failures = [var.instance_types]
}

run "a_machine_that_is_no_instance_type_is_refused" {
  command = plan
  variables {
    instance_types = { master = "large", core = "m5.xlarge" }
  }
  expect_failures = [var.instance_types]
}

run "a_subnet_elsewhere_is_refused" {
  command = plan
  variables {
    subnet_cidr = "10.43.0.0/20"
  }
  expect_failures = [var.subnet_cidr]
}

run "a_subnet_larger_than_its_network_is_refused" {
  command = plan
  variables {
    vpc_cidr    = "10.42.0.0/24"
    subnet_cidr = "10.42.0.0/20"
  }
  expect_failures = [var.subnet_cidr]
}

run "anybody_as_a_trusted_principal_is_refused" {
  command = plan
  variables {
    kestra_trusted_principals = ["*"]
  }
  expect_failures = [var.kestra_trusted_principals]
}

run "a_release_that_is_none_is_refused" {
  command = plan
  variables {
    release_label = "7.13.0"
  }
  expect_failures = [var.release_label]
}

run "an_idle_timeout_below_emrs_limit_is_refused" {
  command = plan
  variables {
    idle_timeout_seconds = 30
  }
  expect_failures = [var.idle_timeout_seconds]
}

run "half_a_node_is_refused" {
  command = plan
  variables {
    core_count = 1.5
  }
  expect_failures = [var.core_count]
}

run "a_network_that_is_none_is_refused" {
  command = plan
  variables {
    vpc_cidr = "10.0.0.0"
  }
  expect_failures = [var.vpc_cidr]
}

run "without_somebody_to_tell_there_is_none" {
  command = plan

  assert {
    condition     = length(module.budget) == 0
    error_message = "There is a budget that nobody has asked for."
  }
}

run "with_somebody_to_tell_there_is_one" {
  command = plan

  variables {
    budget = { usd_a_month = 25, email = "ops@example.com" }
  }

  assert {
    condition     = length(module.budget) == 1
    error_message = "There is no budget."
  }
}

run "a_budget_of_nothing_is_refused" {
  command = plan

  variables {
    budget = { usd_a_month = 0, email = "ops@example.com" }
  }

  expect_failures = [var.budget]
}

run "a_budget_that_tells_no_address_is_refused" {
  command = plan

  variables {
    budget = { usd_a_month = 25, email = "ops" }
  }

  expect_failures = [var.budget]
}

run "without_being_asked_for_there_is_no_host" {
  command = plan

  assert {
    condition     = length(module.kestra_host) == 0 && output.kestra_host == null && output.kestra_host_size == null
    error_message = "There is a host that nobody has asked for."
  }
}

run "a_host_is_asked_for_by_an_empty_object" {
  command = plan

  variables {
    kestra_host = {}
  }

  assert {
    condition     = length(module.kestra_host) == 1 && output.kestra_host_size.instance_type == "t3.large" && output.kestra_host_size.volume_gb == 30
    error_message = "There is no host, or another one."
  }
}

run "a_host_of_another_architecture_is_refused" {
  command = plan

  variables {
    kestra_host = { instance_type = "m6gd.large" }
  }

  expect_failures = [var.kestra_host]
}

run "a_host_with_too_little_memory_is_refused" {
  command = plan

  variables {
    kestra_host = { instance_type = "t3.medium" }
  }

  expect_failures = [var.kestra_host]
}

run "a_host_that_is_no_instance_type_is_refused" {
  command = plan

  variables {
    kestra_host = { instance_type = "large" }
  }

  expect_failures = [var.kestra_host]
}

run "a_host_with_too_small_a_disk_is_refused" {
  command = plan

  variables {
    kestra_host = { volume_gb = 8 }
  }

  expect_failures = [var.kestra_host]
}
