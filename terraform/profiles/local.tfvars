# The platform on one machine: AWS_ENDPOINT_URL leads to the local gateway.
s3_use_path_style = true
force_destroy     = true
# Nothing acts on lifecycle rules here, so versions would stay for ever; and to be sure of new rules the AWS provider
# looks at them for fifty seconds.
versioning      = false
lifecycle_rules = false

# A day's driver and executors live for a minute or two: what the JVM's second compiler would win later, they do not live
# to see: without it the JVM that processes a million shipments takes 25 seconds of processor time, with it 44. (The first
# one alone has room for 48 MB of code by default, and Spark's is compiled again and again.)
spark_defaults = {
  "spark.driver.extraJavaOptions"   = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"
  "spark.executor.extraJavaOptions" = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"
}
