"""The names and the launch template of the workshop page."""

USER_DATA = """#!/usr/bin/bash
echo ECS_CLUSTER=container-demo >> /etc/ecs/ecs.config
sudo iptables --insert FORWARD 1 --in-interface docker+ --destination 169.254.169.254/32 --jump DROP
sudo service iptables save
echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config
echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config
cat /etc/ecs/ecs.config
"""

SPOT_TYPES = [
    "m5.large", "m5d.large", "m5a.large", "m5ad.large", "m5n.large", "m5dn.large", "m3.large", "m4.large", "t3.large", "t2.large",
]  # fmt: skip

OD_PROVIDER = "EC21601113073"
SPOT_PROVIDER = "EC2Spot1601114241"
SERVICE = "ecsdemo-capacityproviders-ec2"
