"""S3: buckets, objects, uploads in parts, versions and everything a bucket is set to."""

from support.steps import Step

BUCKET = {"Bucket": "conformance"}
VERSIONED = {"Bucket": "conformance-versions"}
NOTES = {**BUCKET, "Key": "notes/a b+ü.txt"}
PARTS = {**BUCKET, "Key": "parts"}
MEBIBYTES_5 = b"x" * (5 << 20)
HELLO_MD5 = '"5d41402abc4b2a76b9719d911017c592"'
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::conformance/*"}]}'
CORS = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 5}]}
LIFECYCLE = {"Rules": [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 7}}]}
WEBSITE = {"IndexDocument": {"Suffix": "index.html"}, "RoutingRules": [{"Condition": {"KeyPrefixEquals": "a/"}, "Redirect": {"ReplaceKeyPrefixWith": "b/"}}]}
REPLICATION = {
    "Role": "arn:aws:iam::000000000000:role/replication",
    "Rules": [{"ID": "all", "Status": "Enabled", "Priority": 1, "Filter": {"Prefix": ""}, "DeleteMarkerReplication": {"Status": "Disabled"},
               "Destination": {"Bucket": "arn:aws:s3:::conformance"}}],
}  # fmt: skip
SSE = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "key"}, "BucketKeyEnabled": True}]}
QUEUES = {"QueueConfigurations": [{"Id": "q", "QueueArn": "arn:aws:sqs:us-east-1:000000000000:q", "Events": ["s3:ObjectCreated:*"],
                                   "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}}}]}  # fmt: skip
TAGS = {"TagSet": [{"Key": "a", "Value": "b"}]}
OWNER_ONLY = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
BLOCK = {"BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": True, "RestrictPublicBuckets": False}
LOCK = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}

BUILD = [
    Step("s3", "CreateBucket", BUCKET, expect={"Location": "/conformance"}),
    Step("s3", "CreateBucket", {**VERSIONED, "ObjectLockEnabledForBucket": True}),
    Step("s3", "HeadBucket", BUCKET, expect={"BucketRegion": "us-east-1"}),
    Step("s3", "ListBuckets", {"Prefix": "conformance"}, expect={"Buckets[].Name": ["conformance", "conformance-versions"]}),
    Step("s3", "GetBucketLocation", BUCKET, expect={"LocationConstraint": None}),
    Step(
        "s3", "PutObject", {**NOTES, "Body": b"hello", "ContentType": "text/plain", "Metadata": {"who": "me"}, "Tagging": "t=1&u=a%20b", "ChecksumAlgorithm": "SHA256"},
        expect={"ETag": HELLO_MD5, "ChecksumSHA256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="},
    ),
    Step(
        "s3", "GetObject", NOTES,
        expect={"ETag": HELLO_MD5, "ContentLength": 5, "ContentType": "text/plain", "Metadata": {"who": "me"}, "TagCount": 2, "ServerSideEncryption": "AES256"},
    ),
    Step("s3", "GetObject", {**NOTES, "Range": "bytes=1-3"}, expect={"ContentRange": "bytes 1-3/5", "ContentLength": 3}),
    Step("s3", "HeadObject", NOTES, expect={"ContentLength": 5, "ETag": HELLO_MD5}),
    Step("s3", "GetObjectAttributes", {**NOTES, "ObjectAttributes": ["ETag", "ObjectSize", "StorageClass"]}, expect={"[ETag, ObjectSize, StorageClass]": [HELLO_MD5.strip('"'), 5, "STANDARD"]}),
    Step("s3", "GetObjectTagging", NOTES, expect={"TagSet": [{"Key": "t", "Value": "1"}, {"Key": "u", "Value": "a b"}]}),
    Step("s3", "PutObjectTagging", {**NOTES, "Tagging": TAGS}),
    Step("s3", "DeleteObjectTagging", NOTES),
    Step("s3", "CopyObject", {**BUCKET, "Key": "copy", "CopySource": {"Bucket": "conformance", "Key": "notes/a b+ü.txt"}}, expect={"CopyObjectResult.ETag": HELLO_MD5}),
    Step("s3", "PutObjectAcl", {**BUCKET, "Key": "copy", "ACL": "private"}),
    Step("s3", "GetObjectAcl", {**BUCKET, "Key": "copy"}, expect={"Grants[].[Grantee.Type, Permission]": [["CanonicalUser", "FULL_CONTROL"]]}),
    Step("s3", "PutObject", {**BUCKET, "Key": "logs/2026/1", "Body": b"1"}),
    Step("s3", "PutObject", {**BUCKET, "Key": "logs/2026/2", "Body": b"2"}),
    Step("s3", "ListObjectsV2", {**BUCKET, "Delimiter": "/"}, expect={"CommonPrefixes[].Prefix": ["logs/", "notes/"], "Contents[].Key": ["copy"], "KeyCount": 3}),
    Step("s3", "ListObjectsV2", {**BUCKET, "Prefix": "logs/", "MaxKeys": 1}, keep={"s3_token": "NextContinuationToken"}, expect={"IsTruncated": True}),
    Step("s3", "ListObjectsV2", {**BUCKET, "Prefix": "logs/", "ContinuationToken": "$s3_token"}, expect={"Contents[].Key": ["logs/2026/2"], "IsTruncated": False}),
    Step("s3", "ListObjects", {**BUCKET, "Prefix": "notes"}, expect={"Contents[].Key": ["notes/a b+ü.txt"]}),
    Step("s3", "DeleteObjects", {**BUCKET, "Delete": {"Objects": [{"Key": "logs/2026/1"}, {"Key": "logs/2026/2"}, {"Key": "never was"}]}}, expect={"length(Deleted)": 3, "Errors": None}),
    Step("s3", "CreateMultipartUpload", {**PARTS, "ContentType": "x/y"}, keep={"upload": "UploadId"}),
    Step("s3", "UploadPart", {**PARTS, "UploadId": "$upload", "PartNumber": 1, "Body": MEBIBYTES_5}, keep={"etag_one": "ETag"}),
    Step("s3", "UploadPartCopy", {**PARTS, "UploadId": "$upload", "PartNumber": 2, "CopySource": "conformance/copy", "CopySourceRange": "bytes=0-3"}, keep={"etag_two": "CopyPartResult.ETag"}),
    Step("s3", "ListParts", {**PARTS, "UploadId": "$upload"}, expect={"Parts[].[PartNumber, Size]": [[1, 5 << 20], [2, 4]]}),
    Step("s3", "ListMultipartUploads", BUCKET, expect={"Uploads[].UploadId": ["$upload"]}),
    Step(
        "s3", "CompleteMultipartUpload",
        {**PARTS, "UploadId": "$upload", "MultipartUpload": {"Parts": [{"ETag": "$etag_one", "PartNumber": 1}, {"ETag": "$etag_two", "PartNumber": 2}]}},
        expect={"Key": "parts", "ends_with(ETag, '-2\"')": True, "ChecksumType": "FULL_OBJECT"},
    ),
    Step("s3", "HeadObject", {**PARTS, "PartNumber": 2}, expect={"[ContentLength, PartsCount, ContentType]": [4, 2, "x/y"]}),
    Step("s3", "CreateMultipartUpload", {**BUCKET, "Key": "given up"}, keep={"upload_two": "UploadId"}),
    Step("s3", "AbortMultipartUpload", {**BUCKET, "Key": "given up", "UploadId": "$upload_two"}),
    Step("s3", "PutBucketVersioning", {**VERSIONED, "VersioningConfiguration": {"Status": "Enabled"}}),
    Step("s3", "GetBucketVersioning", VERSIONED, expect={"Status": "Enabled"}),
    Step("s3", "PutObject", {**VERSIONED, "Key": "v", "Body": b"1"}, keep={"v1": "VersionId"}),
    Step("s3", "PutObject", {**VERSIONED, "Key": "v", "Body": b"22"}, keep={"v2": "VersionId"}),
    Step("s3", "DeleteObject", {**VERSIONED, "Key": "v"}, keep={"marker": "VersionId"}, expect={"DeleteMarker": True}),
    Step(
        "s3", "ListObjectVersions", VERSIONED,
        expect={"Versions[].[VersionId, IsLatest, Size]": [["$v2", False, 2], ["$v1", False, 1]], "DeleteMarkers[].[VersionId, IsLatest]": [["$marker", True]]},
    ),
    Step("s3", "GetObject", {**VERSIONED, "Key": "v", "VersionId": "$v1"}, expect={"ContentLength": 1}),
    Step("s3", "DeleteObject", {**VERSIONED, "Key": "v", "VersionId": "$marker"}, expect={"DeleteMarker": True}),
    Step("s3", "PutBucketTagging", {**BUCKET, "Tagging": TAGS}),
    Step("s3", "GetBucketTagging", BUCKET, expect=TAGS),
    Step("s3", "GetBucketEncryption", BUCKET, expect={"ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm": "AES256"}),
    Step("s3", "PutBucketEncryption", {**BUCKET, "ServerSideEncryptionConfiguration": SSE}),
    Step("s3", "GetBucketEncryption", BUCKET, expect={"ServerSideEncryptionConfiguration": SSE}),
    Step("s3", "PutBucketPolicy", {**BUCKET, "Policy": POLICY}),
    Step("s3", "GetBucketPolicy", BUCKET, expect={"Policy": POLICY}),
    Step("s3", "GetBucketPolicyStatus", BUCKET, expect={"PolicyStatus.IsPublic": False}),
    Step("s3", "PutPublicAccessBlock", {**BUCKET, "PublicAccessBlockConfiguration": BLOCK}),
    Step("s3", "GetPublicAccessBlock", BUCKET, expect={"PublicAccessBlockConfiguration": BLOCK}),
    Step("s3", "PutBucketOwnershipControls", {**BUCKET, "OwnershipControls": OWNER_ONLY}),
    Step("s3", "GetBucketOwnershipControls", BUCKET, expect={"OwnershipControls": OWNER_ONLY}),
    Step("s3", "PutBucketAcl", {**BUCKET, "ACL": "public-read"}),
    Step("s3", "GetBucketAcl", BUCKET, expect={"Grants[1].Grantee": {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"}}),
    Step("s3", "PutBucketLifecycleConfiguration", {**BUCKET, "LifecycleConfiguration": LIFECYCLE}),
    Step("s3", "GetBucketLifecycleConfiguration", BUCKET, expect=LIFECYCLE),
    Step("s3", "PutBucketCors", {**BUCKET, "CORSConfiguration": CORS}),
    Step("s3", "GetBucketCors", BUCKET, expect=CORS),
    Step("s3", "PutBucketWebsite", {**BUCKET, "WebsiteConfiguration": WEBSITE}),
    Step("s3", "GetBucketWebsite", BUCKET, expect=WEBSITE),
    Step("s3", "PutBucketReplication", {**VERSIONED, "ReplicationConfiguration": REPLICATION}),
    Step("s3", "GetBucketReplication", VERSIONED, expect={"ReplicationConfiguration": REPLICATION}),
    Step("s3", "PutBucketLogging", {**BUCKET, "BucketLoggingStatus": {"LoggingEnabled": {"TargetBucket": "conformance", "TargetPrefix": "l/"}}}),
    Step("s3", "GetBucketLogging", BUCKET, expect={"LoggingEnabled.TargetPrefix": "l/"}),
    Step("s3", "PutBucketNotificationConfiguration", {**BUCKET, "NotificationConfiguration": QUEUES}),
    Step("s3", "GetBucketNotificationConfiguration", BUCKET, expect=QUEUES),
    Step("s3", "PutBucketAccelerateConfiguration", {**BUCKET, "AccelerateConfiguration": {"Status": "Enabled"}}),
    Step("s3", "GetBucketAccelerateConfiguration", BUCKET, expect={"Status": "Enabled"}),
    Step("s3", "PutBucketRequestPayment", {**BUCKET, "RequestPaymentConfiguration": {"Payer": "Requester"}}),
    Step("s3", "GetBucketRequestPayment", BUCKET, expect={"Payer": "Requester"}),
    Step("s3", "PutObjectLockConfiguration", {**VERSIONED, "ObjectLockConfiguration": LOCK}),
    Step("s3", "GetObjectLockConfiguration", VERSIONED, expect={"ObjectLockConfiguration": LOCK}),
]

NONE = {"Bucket": "conformance-none"}
NO_KEY = {**BUCKET, "Key": "none"}
NO_UPLOAD = {**NO_KEY, "UploadId": "none"}
# Every operation on a bucket says so when there is none.
ON_A_BUCKET = {
    "DeleteBucket": {}, "GetBucketLocation": {}, "ListObjects": {}, "ListObjectsV2": {}, "ListObjectVersions": {}, "ListMultipartUploads": {},
    "GetBucketVersioning": {}, "PutBucketVersioning": {"VersioningConfiguration": {"Status": "Enabled"}},
    "GetBucketTagging": {}, "PutBucketTagging": {"Tagging": TAGS}, "DeleteBucketTagging": {}, "GetBucketEncryption": {}, "DeleteBucketEncryption": {},
    "GetBucketPolicy": {}, "PutBucketPolicy": {"Policy": POLICY}, "DeleteBucketPolicy": {}, "GetBucketAcl": {}, "GetBucketCors": {},
    "GetBucketLifecycleConfiguration": {}, "GetBucketWebsite": {}, "GetBucketLogging": {}, "GetPublicAccessBlock": {}, "GetBucketReplication": {},
    "PutObject": {"Key": "k", "Body": b""}, "GetObject": {"Key": "k"}, "DeleteObject": {"Key": "k"}, "CreateMultipartUpload": {"Key": "k"},
}  # fmt: skip

ERRORS = {
    "s3": [
        *((operation, {**NONE, **rest}, "NoSuchBucket") for operation, rest in ON_A_BUCKET.items()),
        ("HeadBucket", NONE, "404"),
        ("HeadObject", NO_KEY, "404"),
        ("GetObject", NO_KEY, "NoSuchKey"),
        ("GetObjectAcl", NO_KEY, "NoSuchKey"),
        ("GetObjectTagging", NO_KEY, "NoSuchKey"),
        ("GetObjectAttributes", {**NO_KEY, "ObjectAttributes": ["ETag"]}, "NoSuchKey"),
        ("CopyObject", {**BUCKET, "Key": "x", "CopySource": "conformance/none"}, "NoSuchKey"),
        ("CopyObject", {**BUCKET, "Key": "copy", "CopySource": "conformance/copy"}, "InvalidRequest"),
        ("GetObject", {**VERSIONED, "Key": "v", "VersionId": "none"}, "NoSuchVersion"),
        ("GetObject", {**NOTES, "Range": "bytes=9-"}, "InvalidRange"),
        ("GetObject", {**NOTES, "IfMatch": '"x"'}, "PreconditionFailed"),
        ("GetObject", {**NOTES, "IfNoneMatch": HELLO_MD5}, "304"),
        ("PutObject", {**NOTES, "IfNoneMatch": "*"}, "PreconditionFailed"),
        ("PutObject", {**BUCKET, "Key": "k" * 1025}, "KeyTooLongError"),
        ("PutObject", {**BUCKET, "Key": "k", "Body": b"x", "ChecksumSHA256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="}, "BadDigest"),
        ("PutObject", {**BUCKET, "Key": "k", "ContentMD5": "nonsense"}, "InvalidDigest"),
        ("PutObject", {**BUCKET, "Key": "k", "Tagging": "&".join(f"k{n}=" for n in range(11))}, "BadRequest"),
        ("PutObject", {**BUCKET, "Key": "k", "Metadata": {"a": "x" * 2100}}, "MetadataTooLarge"),
        *((operation, {**NO_UPLOAD, **rest}, "NoSuchUpload") for operation, rest in {
            "UploadPart": {"PartNumber": 1, "Body": b"x"}, "ListParts": {}, "AbortMultipartUpload": {},
            "CompleteMultipartUpload": {"MultipartUpload": {"Parts": [{"ETag": "x", "PartNumber": 1}]}},
        }.items()),  # fmt: skip
        ("CreateBucket", {"Bucket": "No-Name"}, "InvalidBucketName"),
        ("CreateBucket", {**NONE, "CreateBucketConfiguration": {"LocationConstraint": "mars-1"}}, "InvalidLocationConstraint"),
        ("DeleteBucket", BUCKET, "BucketNotEmpty"),
        ("ListObjectsV2", {**BUCKET, "ContinuationToken": "!"}, "InvalidArgument"),
        ("ListObjectsV2", {**BUCKET, "MaxKeys": -1}, "InvalidArgument"),
        ("PutBucketPolicy", {**BUCKET, "Policy": "{}"}, "MalformedPolicy"),
        ("PutBucketPolicy", {**BUCKET, "Policy": POLICY.replace("Deny", "Allow")}, "AccessDenied"),
        ("PutBucketTagging", {**BUCKET, "Tagging": {"TagSet": [{"Key": "a", "Value": "b"}] * 2}}, "InvalidTag"),
        ("PutBucketVersioning", {**BUCKET, "VersioningConfiguration": {"Status": "Sometimes"}}, "MalformedXML"),
        ("PutBucketVersioning", {**VERSIONED, "VersioningConfiguration": {"Status": "Suspended"}}, "InvalidBucketState"),
        ("PutBucketLifecycleConfiguration", {**BUCKET, "LifecycleConfiguration": {"Rules": [{"Status": "Enabled", "Filter": {}}]}}, "InvalidRequest"),
        ("GetBucketWebsite", VERSIONED, "NoSuchWebsiteConfiguration"),
        ("GetBucketCors", VERSIONED, "NoSuchCORSConfiguration"),
        ("GetBucketTagging", VERSIONED, "NoSuchTagSet"),
        ("GetBucketPolicy", VERSIONED, "NoSuchBucketPolicy"),
        ("GetBucketLifecycleConfiguration", VERSIONED, "NoSuchLifecycleConfiguration"),
        ("GetBucketReplication", BUCKET, "ReplicationConfigurationNotFoundError"),
        ("GetObjectLockConfiguration", BUCKET, "ObjectLockConfigurationNotFoundError"),
        ("PutBucketAcl", {**VERSIONED, "ACL": "public-read"}, "AccessControlListNotSupported"),
    ],
}

# S3's model has hardly any error in it: HTTP statuses by code (S3 API reference, error responses).
STATUSES = {
    **dict.fromkeys(("404", "NoSuchBucket", "NoSuchKey", "NoSuchUpload", "NoSuchVersion", "NoSuchBucketPolicy", "NoSuchCORSConfiguration",
                     "NoSuchLifecycleConfiguration", "NoSuchTagSet", "NoSuchWebsiteConfiguration", "ReplicationConfigurationNotFoundError",
                     "ObjectLockConfigurationNotFoundError"), 404),
    "304": 304, "BucketNotEmpty": 409, "InvalidBucketState": 409, "InvalidRange": 416, "PreconditionFailed": 412, "AccessDenied": 403,
}  # fmt: skip

UNCAUSED = {
    "s3": {
        "BucketAlreadyExists": "there is one account", "BucketAlreadyOwnedByYou": "not in us-east-1: a unit test",
        "InvalidObjectState": "nothing is archived", "ObjectNotInActiveTierError": "nothing is archived",
        "InvalidWriteOffset": "appending is not built", "TooManyParts": "appending is not built", "EncryptionTypeMismatch": "appending is not built",
    }
}  # fmt: skip

CLEAN = [
    Step("s3", "DeleteObject", {**VERSIONED, "Key": "v", "VersionId": "$v1"}),
    Step("s3", "DeleteObject", {**VERSIONED, "Key": "v", "VersionId": "$v2"}),
    *(
        Step("s3", operation, BUCKET)
        for operation in (
            "DeleteBucketTagging", "DeleteBucketEncryption", "DeleteBucketPolicy", "DeletePublicAccessBlock", "DeleteBucketOwnershipControls",
            "DeleteBucketLifecycle", "DeleteBucketCors", "DeleteBucketWebsite",
        )
    ),
    Step("s3", "DeleteBucketReplication", VERSIONED),
    *(Step("s3", "DeleteObject", {**BUCKET, "Key": key}) for key in ("notes/a b+ü.txt", "copy", "parts")),
    Step("s3", "DeleteBucket", BUCKET),
    Step("s3", "DeleteBucket", VERSIONED),
]  # fmt: skip
