variable "region" {
  description = "The AWS region of everything."
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be an AWS region, as us-east-1; a zone has a letter behind its region."
  }
}

variable "name_prefix" {
  description = "Stands in front of the names of buckets and roles, and names the platform: empty locally, on AWS something that nobody else has, as `acme-`."
  type        = string

  validation {
    condition     = var.name_prefix == "" || can(regex("^[a-z0-9][a-z0-9-]{0,38}-$", var.name_prefix))
    error_message = "name_prefix must be empty, or at most 40 lower-case letters, digits and hyphens that end with a hyphen: a bucket's name has 63 characters at most."
  }

  validation {
    condition     = !startswith(var.name_prefix, "sg-")
    error_message = "name_prefix must not begin with `sg-`, which EC2 lets no security group's name do."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may delete buckets that still hold objects."
  type        = bool
  default     = false
}

variable "versioning" {
  description = "Whether buckets keep what was overwritten or deleted, for a month."
  type        = bool
  default     = true
}

variable "lifecycle_rules" {
  description = "Whether buckets have rules by which old objects go, and uploads that nobody completed."
  type        = bool
  default     = true
}

variable "retention_days" {
  description = "After how many days objects go: raw data, the clusters' logs, the orchestrator's logs. Tables stay."
  type = object({
    source = optional(number, 365)
    logs   = optional(number, 90)
    audit  = optional(number, 365)
  })
  default = {}

  validation {
    condition     = alltrue([for days in values(var.retention_days) : days >= 1 && floor(days) == days])
    error_message = "retention_days must be whole numbers of at least 1."
  }
}

variable "s3_use_path_style" {
  description = "Whether the bucket stands in the path of an S3 request, not in the host name: where buckets have no DNS names."
  type        = bool
  default     = false
}

variable "vpc_cidr" {
  description = "The addresses of the VPC."
  type        = string
  default     = "10.42.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr))
    error_message = "vpc_cidr must be an IPv4 range in CIDR notation, as 10.42.0.0/16."
  }
}

variable "subnet_cidr" {
  description = "The addresses of the public subnet, within vpc_cidr. A cluster takes one a node."
  type        = string
  default     = "10.42.0.0/20"

  validation {
    condition     = can(cidrnetmask(var.subnet_cidr))
    error_message = "subnet_cidr must be an IPv4 range in CIDR notation, as 10.42.0.0/20."
  }

  validation {
    condition = !can(cidrnetmask(var.vpc_cidr)) || !can(cidrnetmask(var.subnet_cidr)) || try(
      split("/", var.subnet_cidr)[1] >= split("/", var.vpc_cidr)[1] && cidrhost("${split("/", var.subnet_cidr)[0]}/${split("/", var.vpc_cidr)[1]}", 0) == cidrhost(var.vpc_cidr, 0),
      false,
    )
    error_message = "subnet_cidr must lie within vpc_cidr."
  }
}

variable "ssh_cidrs" {
  description = "Who may open SSH to the nodes of a cluster, as CIDR ranges. Nobody by default: SSM needs no open port."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.ssh_cidrs : can(cidrnetmask(cidr)) && try(split("/", cidr)[1] >= 8, false)])
    error_message = "ssh_cidrs must be IPv4 ranges in CIDR notation, as 203.0.113.7/32, and none wider than a /8."
  }

  validation {
    condition     = length(var.ssh_cidrs) == 0 || var.ec2_key_name != null
    error_message = "ssh_cidrs opens SSH to nodes that nobody has a key to: name a key pair of EC2's, as ec2_key_name."
  }
}

variable "ec2_key_name" {
  description = "The EC2 key pair, of this account and region, that opens SSH on the nodes of a cluster. Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.ec2_key_name == null || try(length(trimspace(var.ec2_key_name)) > 0, false)
    error_message = "ec2_key_name must be the name of a key pair, or null."
  }
}

variable "enable_ssm" {
  description = "Whether the nodes may be reached through AWS Systems Manager."
  type        = bool
  default     = true
}

variable "kestra_trusted_principals" {
  description = "ARNs of who may assume kestra-role, besides EC2 instances that bear it. Empty: whoever this account lets."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.kestra_trusted_principals : can(regex("^arn:[a-z-]+:(iam|sts)::[0-9]{12}:.+$", arn))])
    error_message = "kestra_trusted_principals must be ARNs of IAM principals, as arn:aws:iam::123456789012:user/alice; never *."
  }
}

variable "release_label" {
  description = "The EMR release of the clusters. It stands in versions.toml, and what runs Terraform passes it on as TF_VAR_release_label."
  type        = string

  validation {
    condition     = can(regex("^emr-", var.release_label))
    error_message = "release_label must be an EMR release, as emr-7.13.0."
  }
}

variable "python_version" {
  description = "The Python of the jobs, of those that the release has. It stands in versions.toml as well: TF_VAR_python_version."
  type        = string
}

variable "instance_types" {
  description = "The EC2 instance types of a cluster's master and core nodes."
  type = object({
    master = string
    core   = string
  })
  default = {
    master = "m5.xlarge"
    core   = "m5.xlarge"
  }

  validation {
    condition     = alltrue([for type in values(var.instance_types) : can(regex(local.instance_type, type))])
    error_message = "instance_types must be EC2 instance types, as m5.xlarge."
  }

  validation {
    condition     = alltrue([for type in values(var.instance_types) : !can(regex(local.graviton, type))])
    error_message = "instance_types must be of x86_64, as m5.xlarge, for which the jobs' wheels are: a `g` after its number is for Graviton, which is arm64."
  }
}

variable "core_count" {
  description = "How many core nodes a cluster has."
  type        = number
  default     = 2

  validation {
    condition     = var.core_count >= 1 && floor(var.core_count) == var.core_count
    error_message = "core_count must be a whole number of at least 1."
  }
}

variable "spark_defaults" {
  description = "Spark properties of the clusters, over those of module emr."
  type        = map(string)
  default     = {}
}

variable "idle_timeout_seconds" {
  description = "After how long without a step a forgotten cluster ends itself."
  type        = number
  default     = 900

  validation {
    condition     = var.idle_timeout_seconds >= 60 && var.idle_timeout_seconds <= 604800
    error_message = "idle_timeout_seconds must be from 60 to 604800 (a week): these are EMR's limits."
  }
}

variable "kestra_host" {
  description = "A host for Kestra, on which schedules fire: its EC2 instance type, of x86_64, its disk, and whether CloudWatch has its metrics each minute rather than every five. Null: none."
  type = object({
    instance_type = optional(string, "t3.large")
    volume_gb     = optional(number, 30)
    monitoring    = optional(bool, true)
  })
  default = null

  validation {
    condition     = var.kestra_host == null || try(can(regex(local.instance_type, var.kestra_host.instance_type)), false)
    error_message = "kestra_host.instance_type must be an EC2 instance type, as t3.large."
  }

  validation {
    condition     = var.kestra_host == null || !try(can(regex(local.graviton, var.kestra_host.instance_type)), false)
    error_message = "kestra_host.instance_type must be of x86_64, as t3.large: a `g` after its number is for Graviton, which is arm64."
  }

  validation {
    condition     = var.kestra_host == null || !try(can(regex("\\.(nano|micro|small|medium)$", var.kestra_host.instance_type)), false)
    error_message = "kestra_host.instance_type must have 8 GiB of memory at least, as t3.large: Kestra takes 4 of them, its database 1."
  }

  validation {
    condition     = var.kestra_host == null || try(var.kestra_host.volume_gb >= 30 && floor(var.kestra_host.volume_gb) == var.kestra_host.volume_gb, false)
    error_message = "kestra_host.volume_gb must be a whole number of at least 30: images of before and after an update take 20 of them."
  }
}

variable "docker" {
  description = "The Docker and Compose of Kestra's host. They stand in versions.toml, and what runs Terraform passes them on."
  type = object({
    engine_minimum  = string
    compose_version = string
    compose_sha256  = string
  })
}

variable "budget" {
  description = "What a month may cost in US dollars, and who is told by mail before it does. Null: nobody."
  type = object({
    usd_a_month = number
    email       = string
  })
  default = null

  validation {
    condition     = var.budget == null || try(var.budget.usd_a_month > 0, false)
    error_message = "budget.usd_a_month must be more than 0."
  }

  validation {
    condition     = var.budget == null || try(can(regex("^[^@ ]+@[^@ ]+$", var.budget.email)), false)
    error_message = "budget.email must be an address, as ops@example.com."
  }
}

variable "application_revision" {
  description = "The folder of the jobs' revision, beside those of others. It is uploaded by what runs Terraform."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-z][0-9a-z-]{5,62}$", var.application_revision))
    error_message = "application_revision must be as 0a1b2c3d4e5f: 6 to 63 lower-case letters, digits and hyphens."
  }
}

variable "wheels_revision" {
  description = "The folder of the jobs' wheels, as wheels/0a1b2c3d4e5f: one for each lock, which many revisions share."
  type        = string

  validation {
    condition     = can(regex("^wheels/[0-9a-f]{12}$", var.wheels_revision))
    error_message = "wheels_revision must be as wheels/0a1b2c3d4e5f."
  }
}
