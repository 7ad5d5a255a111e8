output "account_id" {
  description = "The account in which everything was made."
  value       = local.account_id
}

output "platform_config_uri" {
  description = "Where the description of the platform is, which is all that the driver reads."
  value       = "s3://${local.buckets.input}/${aws_s3_object.platform_config.key}"
}

output "platform_config" {
  description = "That description itself."
  value       = module.emr.platform_config
}

output "buckets" {
  description = "The buckets' names, by purpose: input, source, output, logs, audit."
  value       = module.storage.bucket_names
}

output "kestra_role_arn" {
  description = "The role in which the driver works."
  value       = module.iam.kestra_role_arn
}

output "kestra_host" {
  description = "The instance of Kestra's host, null without one."
  value       = one(module.kestra_host[*].instance_id)
}

output "kestra_host_size" {
  description = "What was asked for as Kestra's host, with the defaults in it; null without one."
  value       = var.kestra_host
}

output "vpc_id" {
  description = "The VPC of the clusters."
  value       = module.network.vpc_id
}
