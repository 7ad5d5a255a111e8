# The role of Kestra's host, if there is one. It is not kestra-role: what the driver may do to clusters is no business of the
# machine's, and what Systems Manager may do to a machine no business of the driver's.

resource "aws_iam_role" "kestra_host" {
  count = var.kestra_host ? 1 : 0

  name        = "${var.name_prefix}kestra-host-role"
  description = "Kestra's host: fetches its bundle, and has the driver act as kestra-role."
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

resource "aws_iam_instance_profile" "kestra_host" {
  count = var.kestra_host ? 1 : 0

  name = aws_iam_role.kestra_host[0].name
  role = aws_iam_role.kestra_host[0].name
  tags = var.tags
}

resource "aws_iam_role_policy_attachment" "kestra_host" {
  count = var.kestra_host ? 1 : 0

  role       = aws_iam_role.kestra_host[0].name
  policy_arn = "${local.managed_policy}/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_role_policy" "kestra_host" {
  count = var.kestra_host ? 1 : 0

  name = "bundle-and-driver"
  role = aws_iam_role.kestra_host[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadBundles"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.bucket_arns.input}/${var.folders.bundles}/*"
      },
      {
        Sid      = "SayWhatRuns"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${local.bucket_arns.input}/${var.folders.bundles}/host.json"
      },
      {
        Sid      = "ActAsTheDriver"
        Effect   = "Allow"
        Action   = "sts:AssumeRole"
        Resource = aws_iam_role.kestra.arn
      },
      {
        # AmazonSSMManagedInstanceCore lets an instance read every parameter of the account.
        Sid         = "ReadNoOtherParameter"
        Effect      = "Deny"
        Action      = ["ssm:GetParameter", "ssm:GetParameters"]
        NotResource = "arn:${var.partition}:ssm:${var.region}:${var.account_id}:parameter${var.password_parameter}"
      },
    ]
  })
}
