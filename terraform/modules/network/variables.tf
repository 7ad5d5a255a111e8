variable "name" {
  description = "The Name of the VPC and of what is in it."
  type        = string
}

variable "region" {
  description = "The AWS region."
  type        = string
}

variable "vpc_cidr" {
  description = "The addresses of the VPC."
  type        = string
}

variable "subnet_cidr" {
  description = "The addresses of the public subnet."
  type        = string
}

variable "instance_types" {
  description = "The instance types that the subnet's availability zone must offer."
  type        = set(string)
}

variable "tags" {
  description = "Tags of everything in the network."
  type        = map(string)
}
