variable "bucket" {
  description = "The input bucket."
  type        = string
}

variable "folder" {
  description = "The folder of the jobs, without slashes at its ends."
  type        = string
}

variable "config_key" {
  description = "The key of the platform's description."
  type        = string
}

variable "platform_config" {
  description = "The platform's description, from module emr."
  type        = any
}

variable "jobs_dir" {
  description = "The folder of data_generator.py, data_processor.py and bootstrap.sh."
  type        = string
}

variable "package_archive" {
  description = "The path of shipments.zip."
  type        = string
}

variable "log_store" {
  description = "The path of delta-log-store.jar."
  type        = string
}

variable "wheels_dir" {
  description = "The folder of the jobs' wheels and of requirements.txt."
  type        = string

  validation {
    condition     = length(fileset(var.wheels_dir, "*.whl")) > 0
    error_message = "wheels_dir holds no wheel: the jobs' Python packages are to be downloaded first."
  }
}
