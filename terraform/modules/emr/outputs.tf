output "platform_config" {
  description = "The description of the platform, as the driver reads it."
  value       = local.platform_config
}

output "security_group_ids" {
  description = "The security groups of master and core nodes, with their rules."
  value       = local.groups
  depends_on  = [aws_vpc_security_group_ingress_rule.internal, aws_vpc_security_group_egress_rule.all]
}
