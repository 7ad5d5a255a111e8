variable "name_prefix" {
  description = "Stands in front of the names of instance and security group."
  type        = string
}

variable "region" {
  description = "The AWS region."
  type        = string
}

variable "vpc_id" {
  description = "The VPC of the security group."
  type        = string
}

variable "subnet_id" {
  description = "The subnet of the instance, with a way out."
  type        = string
}

variable "instance_type" {
  description = "The EC2 instance type: x86_64, with 8 GiB of memory at least."
  type        = string
}

variable "volume_gb" {
  description = "The size of its disk, on which images and Kestra's history are."
  type        = number
}

variable "monitoring" {
  description = "Whether CloudWatch has its metrics each minute, rather than every five."
  type        = bool
  default     = true
}

variable "docker" {
  description = "What it runs containers with: the least Docker, and the Compose that is fetched, with the SHA-256 of its program."
  type = object({
    engine_minimum  = string
    compose_version = string
    compose_sha256  = string
  })

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.docker.compose_sha256))
    error_message = "docker.compose_sha256 must be 64 hexadecimal digits."
  }
}

variable "instance_profile" {
  description = "The name of its instance profile, ready for use."
  type        = string
}

variable "bundles_uri" {
  description = "Where the bundles are that it runs, as an s3:// URI without a slash at its end."
  type        = string

  validation {
    condition     = startswith(var.bundles_uri, "s3://") && !endswith(var.bundles_uri, "/")
    error_message = "bundles_uri must begin with s3:// and not end with a slash."
  }
}

variable "platform_config_uri" {
  description = "Where the driver finds the description of the platform."
  type        = string
}

variable "password_parameter" {
  description = "The name of the parameter that holds Kestra's password, a SecureString. It is made by what runs Terraform: a resource would have the password in the state."
  type        = string

  validation {
    condition     = startswith(var.password_parameter, "/")
    error_message = "password_parameter must begin with a slash, as /drydock/acme/kestra-password."
  }
}

variable "kestra_role_arn" {
  description = "The driver's role, in a session of which the driver works."
  type        = string
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
