# Who may do what:
#
#   kestra-role           the driver: makes clusters, runs steps on its own clusters, reads their logs
#   emr-service-role      EMR itself: makes and ends the clusters' instances
#   emr_instance_profile  a cluster's instances: read the jobs, read and write the data, deliver logs
#   kestra-host-role      Kestra's host, if there is one: kestra_host.tf
#
# Policies are written with jsonencode rather than data sources, so that tests can read them under a mocked provider.

locals {
  bucket_arns = { for purpose, name in var.buckets : purpose => "arn:${var.partition}:s3:::${name}" }

  cluster_arn = "arn:${var.partition}:elasticmapreduce:${var.region}:${var.account_id}:cluster/*"

  # The account itself as a principal: whoever in it has a policy that allows it.
  kestra_trusted_principals = coalescelist(
    tolist(var.kestra_trusted_principals),
    ["arn:${var.partition}:iam::${var.account_id}:root"],
  )

  managed_policy = "arn:${var.partition}:iam::aws:policy"
}

# --- EMR itself ----------------------------------------------------------------------------------------------------

resource "aws_iam_role" "service" {
  name        = "${var.name_prefix}emr-service-role"
  description = "EMR: makes and ends the instances of clusters."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "elasticmapreduce.amazonaws.com" }
      # Only on behalf of clusters of this account.
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${var.partition}:elasticmapreduce:${var.region}:${var.account_id}:*" }
      }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "service" {
  role       = aws_iam_role.service.name
  policy_arn = "${local.managed_policy}/service-role/AmazonEMRServicePolicy_v2"
}

# The managed policy lets EMR pass EMR_EC2_DefaultRole only, so it could not start a cluster with a role of ours.
resource "aws_iam_role_policy" "service" {
  name = "pass-instance-role"
  role = aws_iam_role.service.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "PassInstanceRole"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = aws_iam_role.instance.arn
      Condition = { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } }
    }]
  })
}

# --- A cluster's instances -----------------------------------------------------------------------------------------

resource "aws_iam_role" "instance" {
  # EMR looks for a role by the instance profile's name.
  name        = "${var.name_prefix}emr_instance_profile"
  description = "Instances of EMR clusters: bootstrap actions, steps, executors, delivery of logs."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_instance_profile" "this" {
  name = aws_iam_role.instance.name
  role = aws_iam_role.instance.name
  tags = var.tags
}

resource "aws_iam_role_policy" "instance" {
  name = "data-and-logs"
  role = aws_iam_role.instance.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "FindObjects"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
        Resource = [local.bucket_arns.input, local.bucket_arns.source, local.bucket_arns.output]
      },
      {
        Sid      = "ReadJobs"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.bucket_arns.input}/${var.folders.application}/*"
      },
      {
        # Of the whole bucket: S3A asks whether one of a path's parents is a file, and takes 403 for a failure.
        Sid      = "ReadData"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = ["${local.bucket_arns.source}/*", "${local.bucket_arns.output}/*"]
      },
      {
        Sid      = "WriteData"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource = ["${local.bucket_arns.source}/${var.folders.source}/*", "${local.bucket_arns.output}/*"]
      },
      {
        Sid      = "DeliverLogs"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = "${local.bucket_arns.logs}/${var.folders.logs}/*"
      },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "instance_ssm" {
  count = var.enable_ssm ? 1 : 0

  role       = aws_iam_role.instance.name
  policy_arn = "${local.managed_policy}/AmazonSSMManagedInstanceCore"
}

# That policy lets a job read every parameter of the account, secrets among them; a session on a node needs none.
resource "aws_iam_role_policy" "instance_parameters" {
  count = var.enable_ssm ? 1 : 0

  name = "no-parameters"
  role = aws_iam_role.instance.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "NoParameters"
      Effect   = "Deny"
      Action   = ["ssm:GetParameter", "ssm:GetParameters"]
      Resource = "*"
    }]
  })
}

# --- The driver ----------------------------------------------------------------------------------------------------

resource "aws_iam_role" "kestra" {
  name        = "${var.name_prefix}kestra-role"
  description = "The driver, which Kestra's flows run: makes clusters and runs steps on them."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "KestraHost"
          Effect    = "Allow"
          Action    = "sts:AssumeRole"
          Principal = { Service = "ec2.amazonaws.com" }
        },
        {
          Sid       = "TrustedPrincipals"
          Effect    = "Allow"
          Action    = "sts:AssumeRole"
          Principal = { AWS = local.kestra_trusted_principals }
        },
      ],
      [for role in aws_iam_role.kestra_host : {
        Sid       = "KestraHostRole"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { AWS = role.arn }
      }],
    )
  })
}

resource "aws_iam_role_policy" "kestra_clusters" {
  name = "clusters"
  role = aws_iam_role.kestra.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "CreateTaggedClusters"
        Effect = "Allow"
        Action = [
          "elasticmapreduce:RunJobFlow",
          "elasticmapreduce:PutAutoTerminationPolicy", # a RunJobFlow with such a policy needs it
        ]
        Resource  = "*"
        Condition = { StringEquals = { for key, value in var.cluster_tags : "aws:RequestTag/${key}" => value } }
      },
      {
        # Since April 2023 a RunJobFlow with tags needs AddTags, too, and a cluster that is only being made has no tags
        # yet: so they are held against ours if there are any. A cluster of another platform cannot be made ours, nor
        # can one of ours be given away. docs/architecture.md says what is left open.
        Sid      = "TagNewAndOwnClusters"
        Effect   = "Allow"
        Action   = "elasticmapreduce:AddTags"
        Resource = local.cluster_arn
        Condition = {
          StringEquals         = { for key, value in var.cluster_tags : "aws:RequestTag/${key}" => value }
          StringEqualsIfExists = { for key, value in var.cluster_tags : "aws:ResourceTag/${key}" => value }
        }
      },
      {
        Sid    = "OperateOwnClusters"
        Effect = "Allow"
        Action = [
          "elasticmapreduce:AddJobFlowSteps",
          "elasticmapreduce:CancelSteps",
          "elasticmapreduce:DescribeCluster",
          "elasticmapreduce:DescribeStep",
          "elasticmapreduce:ListSteps",
          "elasticmapreduce:TerminateJobFlows",
        ]
        Resource  = local.cluster_arn
        Condition = { StringEquals = { for key, value in var.cluster_tags : "aws:ResourceTag/${key}" => value } }
      },
      {
        # It has no resource that a condition could name.
        Sid      = "FindClusters"
        Effect   = "Allow"
        Action   = "elasticmapreduce:ListClusters"
        Resource = "*"
      },
      {
        Sid       = "PassServiceRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = aws_iam_role.service.arn
        Condition = { StringEquals = { "iam:PassedToService" = "elasticmapreduce.amazonaws.com" } }
      },
      {
        Sid       = "PassInstanceRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = aws_iam_role.instance.arn
        Condition = { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } }
      },
      {
        # An account's first cluster makes the role with which EMR cleans up.
        Sid       = "CreateCleanupRole"
        Effect    = "Allow"
        Action    = "iam:CreateServiceLinkedRole"
        Resource  = "arn:${var.partition}:iam::${var.account_id}:role/aws-service-role/elasticmapreduce.amazonaws.com*/AWSServiceRoleForEMRCleanup*"
        Condition = { StringEquals = { "iam:AWSServiceName" = "elasticmapreduce.amazonaws.com" } }
      },
    ]
  })
}

resource "aws_iam_role_policy" "kestra_objects" {
  name = "configuration-and-logs"
  role = aws_iam_role.kestra.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadConfiguration"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.bucket_arns.input}/${var.folders.config}/*"
      },
      {
        Sid       = "FindClusterLogs"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = local.bucket_arns.logs
        Condition = { StringLike = { "s3:prefix" = "${var.folders.logs}/*" } }
      },
      {
        Sid      = "ReadClusterLogs"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.bucket_arns.logs}/${var.folders.logs}/*"
      },
      {
        Sid      = "KeepOwnLogs"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${local.bucket_arns.audit}/${var.folders.audit}/*"
      },
    ]
  })
}
