# The whole, as far as names and what may be asked for; the jobs' files are left out.

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
}

override_module {
  target  = module.application
  outputs = { platform_config_uri = "s3://acme-spark-job-data-input/config/platform.json" }
}

variables {
  bucket_prefix   = "acme-"
  release_label   = "emr-7.13.0"
  python_version  = "3.11"
  package_archive = "unused"
  log_store       = "unused"
  wheels_dir      = "unused"
}

run "a_prefix_stands_before_every_bucket" {
  assert {
    condition = [
      output.platform_config.application_uri,
      output.platform_config.source_uri,
      output.platform_config.output_uri,
      output.platform_config.log_uri,
      output.platform_config.audit_uri,
      ] == [
      "s3://acme-spark-job-data-input/spark_app",
      "s3://acme-spark-job-data-source-1/data_source/shipment",
      "s3://acme-spark-job-data-output",
      "s3://acme-emr-cluster-spark-logs/test-emr-logs",
      "s3://acme-builditall-logs/kestra",
    ]
    error_message = "A bucket has no prefix."
  }
}

run "a_prefix_without_its_hyphen_is_refused" {
  command = plan
  variables {
    bucket_prefix = "acme"
  }
  expect_failures = [var.bucket_prefix]
}

run "ssh_from_everywhere_is_refused" {
  command = plan
  variables {
    ssh_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.ssh_cidrs]
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
