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

variable "force_destroy" {
  description = "Whether buckets that still hold objects may be deleted."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of the buckets."
  type        = map(string)
  default     = {}
}
