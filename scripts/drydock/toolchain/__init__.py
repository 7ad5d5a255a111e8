"""What the platform runs on: environments, Java, Spark's jars, the jobs' wheels. All of it is fetched or made under
`DRYDOCK_HOME` by `make setup`, from what is locked in `requirements/`.

Each module owns one thing: how it is made, and how the rest of Drydock asks for it (`java.SPARK.home()`,
`spark_home.spark_home()`, `cds.archive()`). `plan` puts them in order.
"""
