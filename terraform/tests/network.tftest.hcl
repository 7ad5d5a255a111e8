# The network that EMR needs.

mock_provider "aws" {
  mock_data "aws_ec2_instance_type_offerings" {
    defaults = { locations = ["us-east-1c", "us-east-1b"] }
  }
}

variables {
  name           = "acme"
  region         = "us-east-1"
  vpc_cidr       = "10.0.0.0/16"
  subnet_cidr    = "10.0.0.0/20"
  instance_types = ["m5.xlarge"]
  tags           = { "for-use-with-amazon-emr-managed-policies" = "true" }
}

run "nodes_have_names_public_addresses_and_a_way_out" {
  module {
    source = "./modules/network"
  }

  assert {
    condition     = aws_vpc.this.enable_dns_support && aws_vpc.this.enable_dns_hostnames
    error_message = "EMR needs DNS support and DNS hostnames in its VPC."
  }

  assert {
    condition     = aws_subnet.public.map_public_ip_on_launch && aws_subnet.public.vpc_id == aws_vpc.this.id
    error_message = "The subnet gives its nodes no public address."
  }

  assert {
    condition     = aws_route.internet.destination_cidr_block == "0.0.0.0/0" && aws_route.internet.gateway_id == aws_internet_gateway.this.id && aws_route.internet.route_table_id == aws_route_table_association.public.route_table_id && aws_route_table_association.public.subnet_id == aws_subnet.public.id
    error_message = "The subnet has no way out."
  }

  assert {
    condition     = aws_vpc_endpoint.s3.service_name == "com.amazonaws.us-east-1.s3" && aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.s3.route_table_ids == toset([aws_route_table.public.id])
    error_message = "S3 is not reached through a gateway endpoint in the subnet's route table."
  }

  assert {
    condition     = aws_vpc.this.tags["for-use-with-amazon-emr-managed-policies"] == "true" && aws_subnet.public.tags["for-use-with-amazon-emr-managed-policies"] == "true"
    error_message = "AmazonEMRServicePolicy_v2 does not act in a VPC or subnet without its tag."
  }
}

run "the_subnet_is_where_the_instance_types_are" {
  module {
    source = "./modules/network"
  }

  assert {
    condition     = aws_subnet.public.availability_zone == "us-east-1b"
    error_message = "The subnet is in ${aws_subnet.public.availability_zone}."
  }
}

run "no_zone_with_the_instance_types_is_told_beforehand" {
  command = plan

  module {
    source = "./modules/network"
  }

  override_data {
    target = data.aws_ec2_instance_type_offerings.this
    values = { locations = [] }
  }

  expect_failures = [aws_subnet.public]
}
