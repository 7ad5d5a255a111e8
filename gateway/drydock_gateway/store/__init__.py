"""What the gateway was given, on disk before it answers; LocalStack's free edition keeps it in memory alone.

    DRYDOCK_GATEWAY_STORE/
      format.json                     the version of all of this; another one is migrated or refused
      lock                            held by the gateway that has the store open
      drafts/                         what is being written; emptied at start
      set-aside/                      what could not be read at a start, each named in the log
      services/iam, sts, ec2          the whole state of a service
      buckets/<name>/configuration    policy, versioning, tags and the like
      buckets/<name>/objects/<hash>   an object, or one of its versions, or a delete marker
      buckets/<name>/uploads/<id>/    a multipart upload: `upload`, and a file a part

Each of these files is a *record* (`records`): bytes, a document about them, and a footer that tells whether both are
whole. It gets its name by one rename, so what a killed process leaves behind is the old one or the new one.

    folder     the folder as a whole: opened once, checked for its format; damaged records are set aside
    records    one file
    documents  what LocalStack knows of buckets, objects, uploads and parts, as JSON
    buckets    a bucket's folder
    index      the keys of a bucket, its uploads and their parts, written through to its folder
    contents   objects' bytes, as LocalStack's S3 provider wants to read and write them
    s3         the provider: S3 with all of this behind it, and the way back from disk to memory
    services   IAM, STS and EC2
    saving     the handler that saves what a request has changed before it is answered
    opened     the one store of this process

Nothing is flushed to the device for each object: what was answered outlives any process, killed at any moment, and
not the last seconds before the machine's power fails. What such a moment leaves half written is set aside.
"""
