# Kestra's host: whom it reaches, and what it is told. Its role: iam.tftest.hcl.

mock_provider "aws" {
  mock_data "aws_ssm_parameter" {
    defaults = { insecure_value = "ami-0123456789abcdef0" }
  }
}

override_resource {
  target = aws_security_group.this
  values = { id = "sg-33333333" }
}

variables {
  name_prefix   = "acme-"
  region        = "eu-central-1"
  vpc_id        = "vpc-1"
  subnet_id     = "subnet-1"
  instance_type = "t3.large"
  volume_gb     = 30
  docker = {
    engine_minimum  = "25.0"
    compose_version = "2.32.4"
    compose_sha256  = "ed1917fb54db184192ea9d0717bcd59e3662ea79db48bff36d3475516c480a6b"
  }
  instance_profile    = "acme-kestra-host-role"
  bundles_uri         = "s3://acme-input/kestra"
  platform_config_uri = "s3://acme-input/config/platform.json"
  password_parameter  = "/drydock/acme-kestra-password"
  kestra_role_arn     = "arn:aws:iam::123456789012:role/acme-kestra-role"
  tags                = { platform = "drydock" }
}

run "nobody_reaches_it_and_it_reaches_https_alone" {
  module {
    source = "./modules/kestra_host"
  }

  assert {
    condition     = aws_instance.this.vpc_security_group_ids == toset(["sg-33333333"]) && aws_vpc_security_group_egress_rule.https.security_group_id == "sg-33333333"
    error_message = "It is in another group, or in more than one."
  }

  assert {
    condition     = aws_instance.this.iam_instance_profile == "acme-kestra-host-role" && aws_instance.this.tags.Name == "acme-kestra-host"
    error_message = "It bears another role or name."
  }

  # That there is no resource of an ingress rule: tests/unit/on_aws/test_host_files.py.
  assert {
    condition     = "${aws_vpc_security_group_egress_rule.https.ip_protocol} ${aws_vpc_security_group_egress_rule.https.from_port}-${aws_vpc_security_group_egress_rule.https.to_port}" == "tcp 443-443"
    error_message = "It reaches something else than HTTPS."
  }
}

run "its_credentials_cannot_be_had_by_a_forged_request_and_its_disk_is_encrypted" {
  module {
    source = "./modules/kestra_host"
  }

  assert {
    condition = one([
      for options in aws_instance.this.metadata_options :
      "${options.http_endpoint} ${options.http_tokens} ${options.http_put_response_hop_limit}"
    ]) == "enabled required 2"
    error_message = "IMDSv2 is not required, or containers cannot reach it."
  }

  assert {
    condition     = one([for disk in aws_instance.this.root_block_device : disk.encrypted && disk.volume_size == 30 && disk.volume_type == "gp3"])
    error_message = "Its disk is not encrypted, or another one."
  }

  assert {
    condition     = aws_instance.this.monitoring && aws_instance.this.ami == "ami-0123456789abcdef0"
    error_message = "It is not monitored, or another image."
  }
}

run "it_is_told_where_things_are_and_no_secret" {
  module {
    source = "./modules/kestra_host"
  }

  assert {
    condition = {
      for file in jsondecode(trimprefix(aws_instance.this.user_data, "#cloud-config\n")).write_files : file.path => file.permissions
      } == {
      "/etc/drydock/host.env"                      = "0644"
      "/usr/local/sbin/drydock-install-docker"     = "0755"
      "/usr/local/sbin/drydock-take-up"            = "0755"
      "/etc/systemd/system/drydock-kestra.service" = "0644"
      "/etc/systemd/system/drydock-kestra.timer"   = "0644"
    }
    error_message = "Other files are written at its first start."
  }

  assert {
    condition     = jsondecode(trimprefix(aws_instance.this.user_data, "#cloud-config\n")).write_files[0].content == <<-EOT
      AWS_REGION=eu-central-1
      BUNDLES_URI=s3://acme-input/kestra
      COMPOSE_SHA256=ed1917fb54db184192ea9d0717bcd59e3662ea79db48bff36d3475516c480a6b
      COMPOSE_VERSION=2.32.4
      DOCKER_MINIMUM=25.0
      DRYDOCK_PLATFORM_CONFIG=s3://acme-input/config/platform.json
      DRYDOCK_ROLE_ARN=arn:aws:iam::123456789012:role/acme-kestra-role
      PASSWORD_PARAMETER=/drydock/acme-kestra-password
    EOT
    error_message = "It is told something else."
  }

  assert {
    condition     = length(aws_instance.this.user_data) < 16384
    error_message = "EC2 takes 16 KiB of user data."
  }
}

run "a_checksum_that_is_none_is_refused" {
  command = plan

  module {
    source = "./modules/kestra_host"
  }

  variables {
    docker = { engine_minimum = "25.0", compose_version = "2.32.4", compose_sha256 = "latest" }
  }

  expect_failures = [var.docker]
}
