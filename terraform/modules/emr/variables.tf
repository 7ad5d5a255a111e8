variable "platform" {
  description = "The platform's name: security groups' and clusters' begin with it."
  type        = string
}

variable "region" {
  description = "The AWS region."
  type        = string
}

variable "account_id" {
  description = "The AWS account."
  type        = string
}

variable "vpc_id" {
  description = "The VPC of the security groups."
  type        = string
}

variable "subnet_id" {
  description = "The subnet of the clusters."
  type        = string
}

variable "ssh_cidrs" {
  description = "Who may open SSH to the nodes, as CIDR ranges."
  type        = set(string)
  default     = []
}

variable "ec2_key_name" {
  description = "The EC2 key pair that opens SSH on the nodes; null: none."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the security groups."
  type        = map(string)
}

variable "cluster_tags" {
  description = "The tags that the driver gives every cluster."
  type        = map(string)
}

variable "service_role" {
  description = "The name of EMR's service role."
  type        = string
}

variable "instance_profile" {
  description = "The name of the instances' profile."
  type        = string
}

variable "kestra_role_arn" {
  description = "The driver's role."
  type        = string
}

variable "release_label" {
  description = "The EMR release."
  type        = string
}

variable "python_version" {
  description = "The Python of the jobs, one of those that the release has: its interpreter is found by this name on every node."
  type        = string

  validation {
    condition     = can(regex("^3\\.[0-9]+$", var.python_version))
    error_message = "python_version must be as 3.11."
  }
}

variable "instance_types" {
  description = "The instance types of master and core nodes."
  type = object({
    master = string
    core   = string
  })
}

variable "core_count" {
  description = "How many core nodes a cluster has."
  type        = number
}

variable "spark_defaults" {
  description = "Spark properties over the ones here. The same on both sides: locally three nodes share one machine."
  type        = map(string)
  default     = {}
}

variable "uris" {
  description = "Where jobs, their wheels, raw data, tables, the clusters' logs and the orchestrator's are, as s3:// URIs without slashes at their ends."
  type = object({
    application = string
    wheels      = string
    source      = string
    output      = string
    logs        = string
    audit       = string
  })

  validation {
    condition     = alltrue([for uri in values(var.uris) : startswith(uri, "s3://") && !endswith(uri, "/")])
    error_message = "uris must begin with s3:// and not end with a slash."
  }
}

variable "idle_timeout_seconds" {
  description = "After how long without a step a cluster ends itself."
  type        = number
}
