#!/usr/bin/env bash
# The example from its stacks to the end of an interruption with the stock AWS CLI, against a server of its own whose clock runs
# sixty times faster and whose tasks are modelled: prints each check with its result and ends with 1 when one has failed.
#
#   CAPSTAN=PATH    a server that is built already
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
command -v aws >/dev/null || PATH=$PATH:$root/e2e/.venv/bin
command -v aws >/dev/null || { echo "there is no aws command: install the AWS CLI"; exit 1; }

capstan=${CAPSTAN:-}
if [ -z "$capstan" ]; then
    (cd "$root" && cargo build)
    capstan=${CARGO_TARGET_DIR:-$root/target}/debug/capstan
fi

work=$(mktemp -d)
server=
finish() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

NO_COLOR=1 "$capstan" serve --listen 127.0.0.1:0 --clock x60 --runtime virtual 2>"$work/server.log" &
server=$!
endpoint=
until [ -n "$endpoint" ]; do
    kill -0 "$server" 2>/dev/null || { cat "$work/server.log"; echo "the server did not start"; exit 1; }
    sleep 0.1
    endpoint=$(sed -n 's/.* answers at \(http:[^ ]*\).*/\1/p' "$work/server.log")
done
eval "$("$capstan" env --endpoint "$endpoint")"
export AWS_PAGER=

failed=0
check() { # what, found, expected
    if [ "$2" = "$3" ]; then echo "ok      $1: $2"; else echo "FAILED  $1: $2 instead of $3"; failed=1; fi
}
until_is() { # what, expected, command: for at most three real minutes
    local found=
    for _ in $(seq 180); do
        found=$(bash -c "$3")
        [ "$found" = "$2" ] && break
        sleep 1
    done
    check "$1" "$found" "$2"
}
deploy() { # stack, template, parameters
    aws cloudformation deploy --stack-name "$1" --template-file "$here/$2" --capabilities CAPABILITY_IAM --parameter-overrides "${@:3}"
}
cluster=EcsSpotWorkshop
export RUNNING="aws ecs describe-services --cluster $cluster --services ec2-service-split --query services[0].runningCount"
export GROUP="aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names $cluster-ASG-SPOT --query AutoScalingGroups[0].DesiredCapacity"

VPC=$(aws ec2 describe-vpcs --query 'Vpcs[0].VpcId' --output text)
SUBNETS=$(aws ec2 describe-subnets --query 'Subnets[:3].SubnetId' --output text | tr '\t' ',')
FIS_EXP_NAME=fis-spot-interruption
deploy spot-cluster cluster.yaml "Subnets=$SUBNETS"
deploy spot-service service.yaml ClusterStack=spot-cluster "Vpc=$VPC" "Subnets=$SUBNETS"
deploy spot-observe observe.yaml ClusterStack=spot-cluster
deploy $FIS_EXP_NAME experiment.yaml ClusterStack=spot-cluster
check "tasks of the service" "$($RUNNING)" 10
deploy spot-service service.yaml ClusterStack=spot-cluster "Vpc=$VPC" "Subnets=$SUBNETS" DesiredCount=22
until_is "tasks of the service" 22 "$RUNNING"
until_is "Spot Instances wanted" 4 "$GROUP"

FIS_EXP_TEMP_ID=$(aws cloudformation describe-stacks --stack-name $FIS_EXP_NAME --query "Stacks[0].Outputs[?OutputKey=='FISExperimentID'].OutputValue" --output text)
FIS_EXP_ID=$(aws fis start-experiment --experiment-template-id "$FIS_EXP_TEMP_ID" --query "experiment.id" --output text)
until_is "the experiment" '"completed"' "aws fis get-experiment --id $FIS_EXP_ID --query experiment.state.status"
until_is "instances that the log group tells of" 3 "aws logs filter-log-events --log-group-name /aws/events/spotinterruptions \
    --filter-pattern '\"EC2 Spot Instance Interruption Warning\"' --query 'length(events)'"
until_is "instances that were taken back" 3 "aws ec2 describe-spot-instance-requests \
    --filters Name=status-code,Values=instance-terminated-by-experiment --query 'length(SpotInstanceRequests)'"
until_is "tasks after the interruption" 22 "$RUNNING"
until_is "Spot Instances wanted in the end" 4 "$GROUP"

for stack in $FIS_EXP_NAME spot-observe spot-service spot-cluster; do
    aws cloudformation delete-stack --stack-name $stack
    aws cloudformation wait stack-delete-complete --stack-name $stack
done
check "stacks that are left" "$(aws cloudformation describe-stacks --query 'length(Stacks)')" 0
exit $failed
