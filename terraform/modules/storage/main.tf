# The platform's buckets. Disabled ACLs are what S3 gives every new bucket; here public access is shut off, what is not
# encrypted on its way is refused, and each bucket's policy names the roles that use it.

resource "aws_s3_bucket" "this" {
  # checkov:skip=CKV_AWS_18: a bucket of logs about logs; CloudTrail's data events say who read what, where that is wanted
  # checkov:skip=CKV_AWS_144: raw data is generated anew, tables are made of it anew: nothing here needs a second region
  # checkov:skip=CKV_AWS_145: encrypted by S3's own keys; one of KMS's costs for itself and for each of Spark's requests
  # checkov:skip=CKV2_AWS_62: nobody listens to events
  for_each = var.buckets

  bucket        = each.value
  force_destroy = var.force_destroy
  tags          = merge(var.tags, { purpose = each.key })
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = aws_s3_bucket.this

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# What S3 does with every new bucket unasked since January 2023, said so that it stays.
resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = var.versioning ? aws_s3_bucket.this : {}

  bucket = each.value.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  # checkov:skip=CKV_AWS_300: the first rule does just that; checkov does not see it beside rules that are made by `dynamic`
  for_each = var.lifecycle_rules ? aws_s3_bucket.this : {}

  bucket = each.value.id

  rule {
    id     = "end-uploads-that-nobody-completed"
    status = "Enabled"
    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  dynamic "rule" {
    for_each = var.versioning ? [var.noncurrent_days] : []

    content {
      id     = "forget-what-was-overwritten-or-deleted"
      status = "Enabled"
      filter {}

      noncurrent_version_expiration {
        noncurrent_days = rule.value
      }

      expiration {
        expired_object_delete_marker = true
      }
    }
  }

  dynamic "rule" {
    for_each = contains(keys(local.expiring), each.key) ? [local.expiring[each.key]] : []

    content {
      id     = "expire"
      status = "Enabled"

      filter {
        prefix = rule.value.prefix
      }

      expiration {
        days = rule.value.days
      }
    }
  }

  # What counts as overwritten is known once there are versions.
  depends_on = [aws_s3_bucket_versioning.this]
}

locals {
  arns = { for purpose, name in var.buckets : purpose => "arn:${var.partition}:s3:::${name}" }

  # What goes by itself. Jobs and tables stay.
  expiring = {
    source = { prefix = "${var.folders.source}/", days = var.retention_days.source }
    logs   = { prefix = "${var.folders.logs}/", days = var.retention_days.logs }
    audit  = { prefix = "${var.folders.audit}/", days = var.retention_days.audit }
  }

  read   = ["s3:GetObject"]
  write  = ["s3:PutObject", "s3:AbortMultipartUpload"]
  change = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
  find   = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]

  # What each bucket allows, and to whom: the same as the roles' own policies say, seen from the bucket.
  grants = {
    input = concat([
      { sid = "InstancesFindJobs", role = var.instance_role_arn, actions = local.find, resource = local.arns.input },
      { sid = "InstancesReadJobs", role = var.instance_role_arn, actions = local.read, resource = "${local.arns.input}/${var.folders.application}/*" },
      { sid = "KestraReadsConfiguration", role = var.kestra_role_arn, actions = local.read, resource = "${local.arns.input}/${var.folders.config}/*" },
      ], flatten([for arn in var.kestra_host_role_arns : [
        { sid = "KestraHostReadsBundles", role = arn, actions = local.read, resource = "${local.arns.input}/${var.folders.bundles}/*" },
        { sid = "KestraHostSaysWhatRuns", role = arn, actions = ["s3:PutObject"], resource = "${local.arns.input}/${var.folders.bundles}/host.json" },
    ]]))
    source = [
      { sid = "InstancesFindData", role = var.instance_role_arn, actions = local.find, resource = local.arns.source },
      { sid = "InstancesReadData", role = var.instance_role_arn, actions = local.read, resource = "${local.arns.source}/*" },
      { sid = "InstancesWriteData", role = var.instance_role_arn, actions = local.change, resource = "${local.arns.source}/${var.folders.source}/*" },
    ]
    output = [
      { sid = "InstancesFindData", role = var.instance_role_arn, actions = local.find, resource = local.arns.output },
      { sid = "InstancesReadData", role = var.instance_role_arn, actions = local.read, resource = "${local.arns.output}/*" },
      { sid = "InstancesWriteData", role = var.instance_role_arn, actions = local.change, resource = "${local.arns.output}/*" },
    ]
    logs = [
      { sid = "InstancesDeliverLogs", role = var.instance_role_arn, actions = local.write, resource = "${local.arns.logs}/${var.folders.logs}/*" },
      { sid = "KestraFindsLogs", role = var.kestra_role_arn, actions = ["s3:ListBucket"], resource = local.arns.logs, prefix = "${var.folders.logs}/*" },
      { sid = "KestraReadsLogs", role = var.kestra_role_arn, actions = local.read, resource = "${local.arns.logs}/${var.folders.logs}/*" },
    ]
    audit = [
      { sid = "KestraKeepsLogs", role = var.kestra_role_arn, actions = ["s3:PutObject"], resource = "${local.arns.audit}/${var.folders.audit}/*" },
    ]
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "RefuseWhatIsNotEncryptedOnItsWay"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "s3:*"
        Resource  = [local.arns[each.key], "${local.arns[each.key]}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      [for grant in local.grants[each.key] : merge(
        {
          Sid       = grant.sid
          Effect    = "Allow"
          Principal = { AWS = grant.role }
          Action    = grant.actions
          Resource  = grant.resource
        },
        can(grant.prefix) ? { Condition = { StringLike = { "s3:prefix" = grant.prefix } } } : {},
      )],
    )
  })

  # S3 takes one change of a bucket's access at a time, and answers 409 to a second.
  depends_on = [aws_s3_bucket_public_access_block.this]
}
