output "bucket_names" {
  description = "The buckets' names, by purpose."
  value       = { for purpose, bucket in aws_s3_bucket.this : purpose => bucket.id }
}
