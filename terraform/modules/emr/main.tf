# What EMR needs besides roles, and the description of the clusters. No cluster: the driver makes one for each run.
#
# EMR writes rules of its own into these groups and writes them again when they are gone. So every rule of ours is a
# resource of its own, which leaves the others alone, and a group that is destroyed drops all rules first: the groups
# name each other, and could not be deleted otherwise.

resource "aws_security_group" "master" {
  # checkov:skip=CKV2_AWS_5: EMR puts the instances of each cluster into it
  name                   = "${var.platform}-emr-master"
  description            = "Master nodes of EMR clusters"
  vpc_id                 = var.vpc_id
  revoke_rules_on_delete = true
  tags                   = merge(var.tags, { Name = "${var.platform}-emr-master" })
}

resource "aws_security_group" "slave" {
  # checkov:skip=CKV2_AWS_5: EMR puts the instances of each cluster into it
  name                   = "${var.platform}-emr-slave"
  description            = "Core nodes of EMR clusters"
  vpc_id                 = var.vpc_id
  revoke_rules_on_delete = true
  tags                   = merge(var.tags, { Name = "${var.platform}-emr-slave" })
}

locals {
  groups = {
    master = aws_security_group.master.id
    slave  = aws_security_group.slave.id
  }

  # Known before the groups are: keys of for_each.
  pairs = { for pair in setproduct(["master", "slave"], ["master", "slave"]) :
    "${pair[0]}-from-${pair[1]}" => { to = pair[0], from = pair[1] }
  }
  ssh = { for pair in setproduct(["master", "slave"], var.ssh_cidrs) :
    "${pair[0]}-from-${pair[1]}" => { to = pair[0], cidr = pair[1] }
  }
}

resource "aws_vpc_security_group_ingress_rule" "internal" {
  # checkov:skip=CKV_AWS_23: its two groups say what it is for, and LocalStack forgets the description of such a rule
  for_each = local.pairs

  security_group_id            = local.groups[each.value.to]
  referenced_security_group_id = local.groups[each.value.from]
  ip_protocol                  = "-1"
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  for_each = local.ssh

  description       = "SSH"
  security_group_id = local.groups[each.value.to]
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
}

resource "aws_vpc_security_group_egress_rule" "all" {
  for_each = local.groups

  description       = "To EMR, S3 and package repositories"
  security_group_id = each.value
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

locals {
  spark_defaults = merge(
    {
      "spark.sql.extensions"            = "io.delta.sql.DeltaSparkSessionExtension"
      "spark.sql.catalog.spark_catalog" = "org.apache.spark.sql.delta.catalog.DeltaCatalog"
      "spark.sql.session.timeZone"      = "UTC"
      "spark.pyspark.python"            = "python${var.python_version}" # the release's default may be an older one
      "spark.driver.memory"             = "2g"
    },
    var.spark_defaults,
  )

  platform_config = {
    format         = 1
    platform       = var.platform
    region         = var.region
    account_id     = var.account_id
    release_label  = var.release_label
    applications   = ["Spark"]
    instance_types = var.instance_types
    core_count     = var.core_count
    subnet_id      = var.subnet_id
    ec2_key_name   = var.ec2_key_name
    security_groups = {
      master = aws_security_group.master.id
      slave  = aws_security_group.slave.id
    }
    roles = {
      service          = var.service_role
      instance_profile = var.instance_profile
      kestra_arn       = var.kestra_role_arn
    }
    application_uri = var.uris.application
    source_uri      = var.uris.source
    output_uri      = var.uris.output
    log_uri         = var.uris.logs
    audit_uri       = var.uris.audit
    bootstrap_actions = [{
      name = "Install the jobs' Python packages"
      path = "${var.uris.application}/bootstrap.sh"
      args = [var.uris.wheels]
    }]
    configurations = [
      # On AWS this brings Delta's jars alone, so its extension and catalog stand among Spark's properties.
      { classification = "delta-defaults", properties = { "delta.enabled" = "true" } },
      { classification = "spark-defaults", properties = local.spark_defaults },
    ]
    tags                 = var.cluster_tags
    idle_timeout_seconds = var.idle_timeout_seconds
  }
}
