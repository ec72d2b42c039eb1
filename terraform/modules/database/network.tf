# A VPC without internet access: functions reach Postgres, and AWS services through endpoints. Only
# functions that call a payment provider get subnets with a NAT gateway.

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:Without `zone_ids` the first two or three are taken, by name; a new zone comes after them and moves nothing.
  state = "available"
  # Without Local Zones, which have no RDS.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

data "aws_region" "current" {}
data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

locals {
  region    = data.aws_region.current.id
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  base      = "${var.prefix}-${var.name}"
  # Names of zones differ from account to account, their ids do not.
  zone_names = zipmap(data.aws_availability_zones.available.zone_ids, data.aws_availability_zones.available.names)
  zones      = var.settings.zone_ids == null ? slice(data.aws_availability_zones.available.names, 0, var.settings.availability_zones) : [for id in var.settings.zone_ids : local.zone_names[id]]

  # Private subnets use the lower half of the block, subnets with internet access the upper half.
  private_blocks  = { for i, zone in local.zones : zone => cidrsubnet(var.settings.cidr_block, 4, i) }
  outbound_blocks = { for i, zone in local.zones : zone => cidrsubnet(var.settings.cidr_block, 4, 8 + i) }
  public_block    = cidrsubnet(var.settings.cidr_block, 4, 12)

  # Of endpoints: only credentials of this account, so that data cannot be sent to another one.
  this_account_only = {
    Sid       = "ThisAccount"
    Effect    = "Allow"
    Principal = "*"
    Action    = ["*"]
    Resource  = ["*"]
    Condition = { StringEquals = { "aws:PrincipalAccount" = local.account } }
  }

  endpoint_zones = slice(local.zones, 0, coalesce(var.settings.endpoint_zones, length(local.zones)))
}

resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:Flow logs cost by the gigabyte and hold what API, function and database logs say better; an operator who needs them turns them on for the account.
  cidr_block           = var.settings.cidr_block
  enable_dns_support   = true
  enable_dns_hostnames = true # required by private DNS names of endpoints
  tags                 = merge(var.tags, { Name = local.base })
}

# Resources without a security group get this one, which allows no traffic.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${local.base}-default" })
}

resource "aws_subnet" "private" {
  for_each = local.private_blocks

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = merge(var.tags, { Name = "${local.base}-private-${each.key}" })
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${local.base}-private" })
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private.id
}

# -- endpoints

# S3 and DynamoDB through routes, free of charge.
resource "aws_vpc_endpoint" "gateway" {
  for_each = toset(["dynamodb", "s3"])

  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = concat([aws_route_table.private.id], aws_route_table.outbound[*].id)
  tags              = merge(var.tags, { Name = "${local.base}-${each.key}" })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [local.this_account_only],
      # ECR stores image layers in a bucket of its own and signs their links itself:
      # https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html#ecr-minimum-s3-perms
      each.key == "s3" && contains(var.interface_endpoints, "ecr.dkr") ? [{
        Sid       = "ImageLayers"
        Effect    = "Allow"
        Principal = "*"
        Action    = ["s3:GetObject"]
        Resource  = ["arn:${local.partition}:s3:::prod-${local.region}-starport-layer-bucket/*"]
      }] : [],
    )
  })
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.interface_endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [for zone in local.endpoint_zones : aws_subnet.private[zone].id]
  security_group_ids  = [aws_security_group.endpoints.id]
  tags                = merge(var.tags, { Name = "${local.base}-${each.key}" })

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.this_account_only]
  })
}

resource "aws_security_group" "endpoints" {
  name        = "${local.base}-endpoints"
  description = "AWS services, from the functions."
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = "${local.base}-endpoints" })

  ingress {
    description     = "TLS from the functions"
    protocol        = "tcp"
    from_port       = 443
    to_port         = 443
    security_groups = concat([aws_security_group.clients.id], aws_security_group.outbound[*].id)
  }
}

# -- clients of the database

resource "aws_security_group" "clients" {
  #checkov:skip=CKV2_AWS_5:The functions of the lab are in it; it is an output.
  name        = "${local.base}-clients"
  description = "Functions that use the database."
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = "${local.base}-clients" })

  egress {
    description = "Postgres"
    protocol    = "tcp"
    from_port   = local.port
    to_port     = local.port
    cidr_blocks = values(local.private_blocks)
  }

  egress {
    description = "The interface endpoints"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = values(local.private_blocks)
  }

  egress {
    description     = "S3 and DynamoDB"
    protocol        = "tcp"
    from_port       = 443
    to_port         = 443
    prefix_list_ids = [for endpoint in aws_vpc_endpoint.gateway : endpoint.prefix_list_id]
  }
}

# -- internet access

resource "aws_subnet" "outbound" {
  for_each = var.outbound_enabled ? local.outbound_blocks : {}

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = merge(var.tags, { Name = "${local.base}-outbound-${each.key}" })
}

resource "aws_subnet" "public" {
  count = var.outbound_enabled ? 1 : 0

  vpc_id            = aws_vpc.this.id
  availability_zone = local.zones[0]
  cidr_block        = local.public_block
  tags              = merge(var.tags, { Name = "${local.base}-public" })
}

resource "aws_internet_gateway" "this" {
  count = var.outbound_enabled ? 1 : 0

  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = local.base })
}

resource "aws_eip" "nat" {
  #checkov:skip=CKV2_AWS_19:It is the NAT gateway's.
  count = var.outbound_enabled ? 1 : 0

  domain = "vpc"
  tags   = merge(var.tags, { Name = "${local.base}-nat" })
}

# One, not one a zone: during a zone's failure the queue retries payments.
resource "aws_nat_gateway" "this" {
  count = var.outbound_enabled ? 1 : 0

  subnet_id     = aws_subnet.public[0].id
  allocation_id = aws_eip.nat[0].id
  tags          = merge(var.tags, { Name = local.base })

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  count = var.outbound_enabled ? 1 : 0

  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${local.base}-public" })
}

resource "aws_route" "public" {
  count = var.outbound_enabled ? 1 : 0

  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

resource "aws_route_table_association" "public" {
  count = var.outbound_enabled ? 1 : 0

  subnet_id      = aws_subnet.public[0].id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_route_table" "outbound" {
  count = var.outbound_enabled ? 1 : 0

  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${local.base}-outbound" })
}

resource "aws_route" "outbound" {
  count = var.outbound_enabled ? 1 : 0

  route_table_id         = aws_route_table.outbound[0].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[0].id
}

resource "aws_route_table_association" "outbound" {
  for_each = aws_subnet.outbound

  subnet_id      = each.value.id
  route_table_id = aws_route_table.outbound[0].id
}

resource "aws_security_group" "outbound" {
  #checkov:skip=CKV2_AWS_5:The functions that pay are in it; it is an output.
  count = var.outbound_enabled ? 1 : 0

  name        = "${local.base}-outbound"
  description = "Functions that use the database and a service on the internet."
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = "${local.base}-outbound" })

  egress {
    description = "Postgres"
    protocol    = "tcp"
    from_port   = local.port
    to_port     = local.port
    cidr_blocks = values(local.private_blocks)
  }

  egress {
    # The payment provider has no fixed addresses.
    description = "TLS to anywhere"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = ["0.0.0.0/0"]
  }
}
