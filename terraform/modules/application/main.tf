# What clusters run, and what the driver reads, in the input bucket:
#
#   <folder>/data_generator.py, data_processor.py, bootstrap.sh, shipments.zip, delta-log-store.jar
#   <folder>/wheels/*.whl, requirements.txt
#   config/platform.json
#
# `source_hash` and not `etag` tells a changed file: an object uploaded in parts has an ETag that is no MD5.

locals {
  files = merge(
    { for name in ["data_generator.py", "data_processor.py", "bootstrap.sh"] : name => "${var.jobs_dir}/${name}" },
    { "shipments.zip" = var.package_archive },
    { "delta-log-store.jar" = var.log_store },
    { for name in fileset(var.wheels_dir, "*.whl") : "wheels/${name}" => "${var.wheels_dir}/${name}" },
    { "wheels/requirements.txt" = "${var.wheels_dir}/requirements.txt" },
  )
}

resource "aws_s3_object" "file" {
  for_each = local.files

  bucket      = var.bucket
  key         = "${var.folder}/${each.key}"
  source      = each.value
  source_hash = filesha256(each.value)

  # An object has ten tags at most, and each costs a request: the buckets bear them.
  override_provider {
    default_tags { tags = {} }
  }
}

resource "aws_s3_object" "platform_config" {
  bucket       = var.bucket
  key          = var.config_key
  content      = jsonencode(var.platform_config)
  content_type = "application/json"

  override_provider {
    default_tags { tags = {} }
  }

  # Whoever reads it finds the jobs it speaks of.
  depends_on = [aws_s3_object.file]
}
