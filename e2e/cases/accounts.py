"""STS and SSM."""

from support.steps import Step

AMI = "/aws/service/ecs/optimized-ami"

BUILD = [
    Step("sts", "GetCallerIdentity", expect={"Account": "$account"}),
    Step(
        "ssm", "GetParameter", {"Name": f"{AMI}/amazon-linux-2/recommended/image_id"}, keep={"ami": "Parameter.Value"},
        expect={"Parameter.Type": "String", "Parameter.DataType": "text"},
    ),
    Step("ssm", "GetParameter", {"Name": f"{AMI}/amazon-linux-2/recommended"}, expect={"Parameter.Type": "String"}),
    Step(
        "ssm", "GetParameters",
        {"Names": [f"{AMI}/amazon-linux-2023/recommended/image_id", f"{AMI}/amazon-linux-2/arm64/recommended/image_id", "/none"]},
        expect={"length(Parameters)": 2, "InvalidParameters": ["/none"]},
    ),
]

ERRORS = {
    "ssm": [
        ("GetParameter", {"Name": "/none"}, "ParameterNotFound"),
        ("GetParameter", {"Name": f"{AMI}/amazon-linux-2/recommended/image_id:99"}, "ParameterVersionNotFound"),
        ("GetParameter", {}, "ValidationException"),
        ("GetParameter", {"Name": ""}, "ValidationException"),
        ("GetParameters", {"Names": []}, "ValidationException"),
        ("GetParameters", {"Names": [f"/p{n}" for n in range(11)]}, "ValidationException"),
    ],
}

UNCAUSED = {"ssm": {"InternalServerError": "the server does not fail", "InvalidKeyId": "no parameter is encrypted"}}

CLEAN = []
