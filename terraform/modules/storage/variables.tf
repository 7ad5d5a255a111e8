variable "partition" {
  description = "The AWS partition: `aws`, `aws-cn`, `aws-us-gov`."
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

variable "instance_role_arn" {
  description = "The role of the clusters' instances."
  type        = string
}

variable "kestra_role_arn" {
  description = "The driver's role."
  type        = string
}

variable "kestra_host_role_arns" {
  description = "The role of Kestra's host; empty without one."
  type        = list(string)
  default     = []
}

variable "force_destroy" {
  description = "Whether buckets that still hold objects may be deleted."
  type        = bool
  default     = false
}

variable "versioning" {
  description = "Whether what is overwritten or deleted is kept for `noncurrent_days`."
  type        = bool
  default     = true
}

variable "lifecycle_rules" {
  description = "Whether there are rules by which old objects go, and uploads that nobody completed."
  type        = bool
  default     = true
}

variable "noncurrent_days" {
  description = "How many days what was overwritten or deleted is kept."
  type        = number
  default     = 30
}

variable "retention_days" {
  description = "After how many days objects go: raw data, the clusters' logs, the orchestrator's logs. Jobs and tables stay."
  type = object({
    source = number
    logs   = number
    audit  = number
  })
}

variable "tags" {
  description = "Tags of the buckets."
  type        = map(string)
  default     = {}
}
