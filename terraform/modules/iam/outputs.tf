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
