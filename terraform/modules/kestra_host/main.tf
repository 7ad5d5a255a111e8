# A host for Kestra: one EC2 instance that runs the bundle which the deployment points to, so that schedules fire without
# anybody's own machine. Nothing reaches it but Systems Manager, by a connection that it opens itself.
#
# It is told where things are and nothing else. What it runs comes in the bundle (scripts/drydock/on_aws/bundles.py), which it
# looks for every minute: a deployment does not have to reach it, and one that is off meanwhile catches up. No secret is in
# its user data: Kestra's password is in Parameter Store, those of its databases are made on the host and stay there.

locals {
  name = "${var.name_prefix}kestra-host"
  tags = merge(var.tags, { Name = local.name })

  settings = {
    AWS_REGION              = var.region
    BUNDLES_URI             = var.bundles_uri
    COMPOSE_SHA256          = var.docker.compose_sha256
    COMPOSE_VERSION         = var.docker.compose_version
    DOCKER_MINIMUM          = var.docker.engine_minimum
    DRYDOCK_PLATFORM_CONFIG = var.platform_config_uri
    DRYDOCK_ROLE_ARN        = var.kestra_role_arn
    PASSWORD_PARAMETER      = var.password_parameter
  }

  first_start = {
    write_files = concat(
      [{
        path        = "/etc/drydock/host.env"
        permissions = "0644"
        content     = join("", [for name, value in local.settings : "${name}=${value}\n"])
      }],
      [for name in ["install-docker", "take-up"] : {
        path        = "/usr/local/sbin/drydock-${name}"
        permissions = "0755"
        content     = file("${path.module}/files/${name}")
      }],
      [for name in ["drydock-kestra.service", "drydock-kestra.timer"] : {
        path        = "/etc/systemd/system/${name}"
        permissions = "0644"
        content     = file("${path.module}/files/${name}")
      }],
    )
    runcmd = [
      ["systemctl", "daemon-reload"],
      ["systemctl", "enable", "--now", "drydock-kestra.timer"],
    ]
  }

  # JSON is YAML, in which cloud-init takes its instructions.
  user_data = "#cloud-config\n${jsonencode(local.first_start)}"
}

# --- Whom it reaches -----------------------------------------------------------------------------------------------

resource "aws_security_group" "this" {
  name        = local.name
  description = "The host of Kestra, which nobody reaches"
  vpc_id      = var.vpc_id
  tags        = local.tags
}

resource "aws_vpc_security_group_egress_rule" "https" {
  description       = "To AWS, and to registries of images and packages"
  security_group_id = aws_security_group.this.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# --- The machine ---------------------------------------------------------------------------------------------------

data "aws_ssm_parameter" "ami" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

resource "aws_instance" "this" {
  # checkov:skip=CKV_AWS_88: it reaches AWS by an address of its own, which nobody can call; a NAT gateway costs as much again
  ami                         = data.aws_ssm_parameter.ami.insecure_value
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_id
  vpc_security_group_ids      = [aws_security_group.this.id]
  associate_public_ip_address = true
  iam_instance_profile        = var.instance_profile
  user_data                   = local.user_data
  user_data_replace_on_change = true
  monitoring                  = var.monitoring
  ebs_optimized               = true
  tags                        = local.tags

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 2 # the driver is in a container, a hop further away than a process of the host
  }

  root_block_device {
    volume_type           = "gp3"
    volume_size           = var.volume_gb
    encrypted             = true
    delete_on_termination = true
    tags                  = local.tags
  }

  lifecycle {
    # Amazon has a new image every other week, and Kestra's history is on this one's disk.
    ignore_changes = [ami]
  }

  # It looks for its bundle as soon as it runs.
  depends_on = [aws_vpc_security_group_egress_rule.https]
}
