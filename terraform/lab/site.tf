# The web page at `site`, in front of the API.

module "site" {
  source = "../modules/site"
  count  = local.has.site ? 1 : 0

  prefix          = var.prefix
  bucket_suffix   = var.bucket_suffix
  folder          = "${path.module}/../../services/web/dist"
  api_url         = module.api[0].url
  api_paths       = toset([for route in flatten(values(local.routes)[*].routes) : split("/", route)[1] if !startswith(route, "OPTIONS ")])
  storage_origins = ["https://s3.${var.region}.${data.aws_partition.current.dns_suffix}"]
  domain          = var.site.domain
  payment_methods = var.site.payment_methods
  price_class     = var.site.price_class

  stripe_publishable_key = var.site.stripe_publishable_key
}
