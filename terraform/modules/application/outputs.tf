output "platform_config_uri" {
  description = "Where the platform's description is."
  value       = "s3://${var.bucket}/${aws_s3_object.platform_config.key}"
}
