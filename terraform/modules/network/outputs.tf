output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "subnet_id" {
  description = "The public subnet. It is ready when its way out is."
  value       = aws_subnet.public.id
  depends_on  = [aws_route.internet, aws_route_table_association.public]
}
