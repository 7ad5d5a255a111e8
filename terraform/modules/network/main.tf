# A VPC with one public subnet, as EMR needs it: DNS names for the nodes, public addresses, a way out, and S3 without
# leaving AWS's network.

locals {
  tags = merge(var.tags, { Name = var.name })
}

resource "aws_vpc" "this" {
  # checkov:skip=CKV2_AWS_11: clusters live for minutes, in security groups that let nobody in; flow logs cost by the gigabyte
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = local.tags
}

# What AWS makes with every VPC lets in whatever is in the same group. Nothing is put into it, and now it lets nobody in.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = "${var.name}-default" })
}

# Not every availability zone has every instance type, and EMR would only say so when a cluster starts.
data "aws_ec2_instance_type_offerings" "this" {
  for_each = var.instance_types

  location_type = "availability-zone"

  filter {
    name   = "instance-type"
    values = [each.value]
  }
}

resource "aws_subnet" "public" {
  # checkov:skip=CKV_AWS_130: nodes reach EMR and package repositories by addresses of their own; a NAT gateway costs all day
  vpc_id                  = aws_vpc.this.id
  cidr_block              = var.subnet_cidr
  availability_zone       = local.availability_zones[0]
  map_public_ip_on_launch = true
  tags                    = merge(local.tags, { Name = "${var.name}-public" })

  lifecycle {
    # A zone that is added later, or gains the types, is no reason to move the subnet.
    ignore_changes = [availability_zone]

    precondition {
      condition     = length(local.availability_zones) > 0
      error_message = "No availability zone of ${var.region} offers all of ${join(", ", var.instance_types)}. Choose other instance_types or another region."
    }

    # Of a subnet that is there already: types may have changed since.
    postcondition {
      condition     = contains(local.availability_zones, self.availability_zone)
      error_message = "The subnet is in ${self.availability_zone}, which does not offer all of ${join(", ", var.instance_types)}. Choose other instance_types; another zone means a new subnet, after `make destroy-aws`."
    }
  }
}

locals {
  availability_zones = sort(setintersection([
    for offerings in data.aws_ec2_instance_type_offerings.this : toset(offerings.locations)
  ]...))
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = local.tags
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = "${var.name}-public" })
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}

# The endpoint keeps its default policy: EMR and Amazon Linux read their own package repositories through it.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.public.id]
  tags              = merge(local.tags, { Name = "${var.name}-s3" })
}
