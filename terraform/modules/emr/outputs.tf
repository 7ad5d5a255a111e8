output "platform_config" {
  description = "The description of the platform, as the driver reads it."
  value       = local.platform_config
  # Of groups that have their rules.
  depends_on = [
    aws_vpc_security_group_ingress_rule.internal,
    aws_vpc_security_group_ingress_rule.ssh,
    aws_vpc_security_group_egress_rule.all,
  ]
}
