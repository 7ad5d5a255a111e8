output "service_role_name" {
  description = "EMR's service role, ready for use."
  value       = aws_iam_role.service.name
  depends_on  = [aws_iam_role_policy.service, aws_iam_role_policy_attachment.service]
}

output "instance_profile_name" {
  description = "The instance profile of the clusters' instances, ready for use."
  value       = aws_iam_instance_profile.this.name
  depends_on  = [aws_iam_role_policy.instance]
}

output "instance_role_arn" {
  description = "The role in that instance profile."
  value       = aws_iam_role.instance.arn
}

output "kestra_role_arn" {
  description = "The driver's role."
  value       = aws_iam_role.kestra.arn
}

output "kestra_host" {
  description = "The role and the instance profile of Kestra's host, ready for use; null without one."
  value = var.kestra_host ? {
    role_arn         = aws_iam_role.kestra_host[0].arn
    instance_profile = aws_iam_instance_profile.kestra_host[0].name
  } : null
  depends_on = [aws_iam_role_policy.kestra_host, aws_iam_role_policy_attachment.kestra_host]
}
