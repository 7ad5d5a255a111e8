terraform {
  required_version = ">= 1.10.0" # S3 state locking without DynamoDB

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }

  # What runs Terraform tells it the bucket and how it is reached. That bucket is no resource of this configuration,
  # which could not keep its state in a bucket that it has yet to make.
  backend "s3" {
    key          = "key/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
