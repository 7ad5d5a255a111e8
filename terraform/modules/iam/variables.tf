variable "name_prefix" {
  description = "Stands in front of the roles' names."
  type        = string
  default     = ""
}

variable "account_id" {
  description = "The AWS account."
  type        = string
}

variable "partition" {
  description = "The AWS partition: `aws`, `aws-cn`, `aws-us-gov`."
  type        = string
}

variable "region" {
  description = "The region of the clusters."
  type        = string
}

variable "buckets" {
  description = "The buckets' names, by purpose."
  type = object({
    input  = string
    source = string
    output = string
    logs   = string
    audit  = string
  })
}

variable "folders" {
  description = "The folders in those buckets that the roles act in, without slashes at their ends."
  type = object({
    application = string
    config      = string
    bundles     = string
    source      = string
    logs        = string
    audit       = string
  })
}

variable "cluster_tags" {
  description = "The tags that mark a cluster as the platform's: kestra-role makes no other and touches no other."
  type        = map(string)

  validation {
    condition     = length(var.cluster_tags) > 0
    error_message = "cluster_tags must hold at least one tag: without any, kestra-role could act on every cluster of the account."
  }
}

variable "kestra_trusted_principals" {
  description = "ARNs of who may assume kestra-role, besides EC2 instances that bear it. Empty: whoever this account lets."
  type        = set(string)
  default     = []
}

variable "kestra_host" {
  description = "Whether there is a host for Kestra. Its role may assume kestra-role, whoever else may."
  type        = bool
  default     = false
}

variable "password_parameter" {
  description = "The name of the parameter that Kestra's host reads, and no other: it begins with a slash."
  type        = string
}

variable "enable_ssm" {
  description = "Whether instances may be reached through AWS Systems Manager."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of the roles."
  type        = map(string)
  default     = {}
}
