# The platform: a network and security groups for EMR's clusters, the buckets, the roles, and the jobs with the
# description of the cluster that runs them. Clusters themselves are made for each run, from config/platform.json.
#
# Where this is applied is not said here: the AWS provider reads AWS_ENDPOINT_URL, and profiles/ holds what differs.

provider "aws" {
  region            = var.region
  s3_use_path_style = var.s3_use_path_style

  default_tags {
    tags = { platform = local.platform }
  }
}

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

locals {
  account_id = data.aws_caller_identity.this.account_id
  partition  = data.aws_partition.this.partition

  # The tag `platform` on all that is made and on the clusters, whose names begin with it: by it deployments in one account
  # are told apart. As in scripts/drydock/site.py.
  platform = var.name_prefix == "" ? "drydock" : trimsuffix(var.name_prefix, "-")

  # On AWS a bucket's name is taken for the whole world and a role's for the account, so a prefix stands in front there.
  buckets = { for purpose, name in {
    input  = "spark-job-data-input"
    source = "spark-job-data-source-1"
    output = "spark-job-data-output"
    logs   = "emr-cluster-spark-logs"
    audit  = "builditall-logs"
  } : purpose => "${var.name_prefix}${name}" }

  # Folders in those buckets. What the roles may do is said in terms of these.
  folders = {
    application = "spark_app"
    config      = "config"
    bundles     = "kestra"
    source      = "data_source/shipment"
    logs        = "test-emr-logs"
    audit       = "kestra"
  }

  # What is asked of the names of instance types, in variables.tf: that each is one, and not of Graviton, which is arm64.
  instance_type = "^[a-z]+[0-9]+[a-z-]*\\.[a-z0-9-]+$"
  graviton      = "^[a-z]+[0-9]+[a-z-]*g[a-z-]*\\."

  platform_config_key = "${local.folders.config}/platform.json"

  # Of Kestra's host. What runs Terraform makes it: a resource would have the password in the state.
  password_parameter = "/drydock/${var.name_prefix}kestra-password"

  # AmazonEMRServicePolicy_v2 acts only on what bears this tag, and on clusters that do.
  emr_tags     = { "for-use-with-amazon-emr-managed-policies" = "true" }
  cluster_tags = merge(local.emr_tags, { platform = local.platform })
}

module "network" {
  source = "./modules/network"

  name           = local.platform
  region         = var.region
  vpc_cidr       = var.vpc_cidr
  subnet_cidr    = var.subnet_cidr
  instance_types = toset(concat(values(var.instance_types), var.kestra_host[*].instance_type))
  tags           = local.emr_tags
}

module "iam" {
  source = "./modules/iam"

  name_prefix               = var.name_prefix
  account_id                = local.account_id
  partition                 = local.partition
  region                    = var.region
  buckets                   = local.buckets
  folders                   = local.folders
  cluster_tags              = local.cluster_tags
  kestra_trusted_principals = var.kestra_trusted_principals
  kestra_host               = var.kestra_host != null
  password_parameter        = local.password_parameter
  enable_ssm                = var.enable_ssm
}

module "storage" {
  source = "./modules/storage"

  partition             = local.partition
  buckets               = local.buckets
  folders               = local.folders
  instance_role_arn     = module.iam.instance_role_arn
  kestra_role_arn       = module.iam.kestra_role_arn
  kestra_host_role_arns = module.iam.kestra_host[*].role_arn
  force_destroy         = var.force_destroy
  versioning            = var.versioning
  lifecycle_rules       = var.lifecycle_rules
  retention_days        = var.retention_days
}

module "emr" {
  source = "./modules/emr"

  platform             = local.platform
  region               = var.region
  account_id           = local.account_id
  vpc_id               = module.network.vpc_id
  subnet_id            = module.network.subnet_id
  ssh_cidrs            = var.ssh_cidrs
  ec2_key_name         = var.ec2_key_name
  tags                 = local.emr_tags
  cluster_tags         = local.cluster_tags
  service_role         = module.iam.service_role_name
  instance_profile     = module.iam.instance_profile_name
  kestra_role_arn      = module.iam.kestra_role_arn
  release_label        = var.release_label
  python_version       = var.python_version
  instance_types       = var.instance_types
  core_count           = var.core_count
  spark_defaults       = var.spark_defaults
  idle_timeout_seconds = var.idle_timeout_seconds

  uris = {
    application = "s3://${local.buckets.input}/${local.folders.application}/${var.application_revision}"
    wheels      = "s3://${local.buckets.input}/${local.folders.application}/${var.wheels_revision}"
    source      = "s3://${local.buckets.source}/${local.folders.source}"
    output      = "s3://${local.buckets.output}"
    logs        = "s3://${local.buckets.logs}/${local.folders.logs}"
    audit       = "s3://${local.buckets.audit}/${local.folders.audit}"
  }
}

module "kestra_host" {
  source = "./modules/kestra_host"
  count  = var.kestra_host == null ? 0 : 1

  name_prefix         = var.name_prefix
  region              = var.region
  vpc_id              = module.network.vpc_id
  subnet_id           = module.network.subnet_id
  instance_profile    = module.iam.kestra_host.instance_profile
  instance_type       = var.kestra_host.instance_type
  volume_gb           = var.kestra_host.volume_gb
  monitoring          = var.kestra_host.monitoring
  docker              = var.docker
  bundles_uri         = "s3://${local.buckets.input}/${local.folders.bundles}"
  platform_config_uri = "s3://${local.buckets.input}/${local.platform_config_key}"
  password_parameter  = local.password_parameter
  kestra_role_arn     = module.iam.kestra_role_arn
  tags                = { platform = local.platform }
}

module "budget" {
  source = "./modules/budget"
  count  = var.budget == null ? 0 : 1

  name_prefix = var.name_prefix
  platform    = local.platform
  usd_a_month = var.budget.usd_a_month
  email       = var.budget.email
}

# All that the driver reads. It is written when everything that it speaks of is there, save what it says of the jobs:
# they are uploaded by what runs Terraform, each revision beside the others, so that a cluster which was made from the
# description of before finds the jobs of before.
resource "aws_s3_object" "platform_config" {
  bucket       = module.storage.bucket_names.input
  key          = local.platform_config_key
  content      = jsonencode(module.emr.platform_config)
  content_type = "application/json"

  # An object has ten tags at most, and each costs a request: the buckets bear them.
  override_provider {
    default_tags { tags = {} }
  }
}
