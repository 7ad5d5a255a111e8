terraform {
  required_version = ">= 1.10.0" # S3 state locking without DynamoDB

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }

  # The bucket and how it is reached stand in profiles/<profile>.tfbackend. It is no resource of this configuration,
  # which could not keep its state in a bucket that it has yet to make.
  backend "s3" {
    key          = "key/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
