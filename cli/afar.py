"""What this computer can't show of a stack in the clouds, and the way to it.

Nobody logs in to hosts, and nothing of theirs listens for people: what they write, their cloud shows to whoever may see the
machine. Services write to the machine's console too (`components/boot/units`), which AWS and Google keep; Azure's agent runs a command.
"""

from __future__ import annotations

from cli.context import Context
from spec.errors import InputError
from spec.names import cloud_name, edge_id

CONTROLLER = "controller"


def logs_of(context: Context, host: str = CONTROLLER) -> str:
    """The command that shows what a host writes, by the host's name: `controller`, or `<edge id>-<number>`."""
    config, env = context.config, context.env
    home = (config.home.cloud, config.home.region) if config.home is not None else ("", "")
    sites = ((e.cloud, e.region) for e in config.edges if host.startswith(f"{edge_id(e.cloud, e.region)}-"))
    cloud, region = next(sites, home)
    if cloud == "aws":
        machine = (
            f"aws ec2 describe-instances --region {region} --filters 'Name=tag:Name,Values=tradewind {env} {host}' "
            "Name=instance-state-name,Values=running --query 'Reservations[].Instances[].InstanceId' --output text"
        )
        return (
            f"aws ec2 get-console-output --latest --region {region} --output text --instance-id $({machine})"
        )
    if cloud == "gcp":
        project = f"--project {config.gcp.project}" if config.gcp is not None else ""
        name = cloud_name(env, host).rpartition("-")[0]
        machine = (
            f"gcloud compute instances list {project} --filter 'name~^{name}-' --format 'value(selfLink)'"
        )
        return f"gcloud compute instances get-serial-port-output $({machine})"
    unit = CONTROLLER if host == CONTROLLER else "edge"
    return (
        f"az vm run-command invoke -g {cloud_name(env, region)} -n {cloud_name(env, host)} --command-id RunShellScript "
        f"--scripts 'journalctl -u tradewind-{unit} -n 200' --query 'value[0].message' -o tsv"
    )


def no_logs(context: Context) -> InputError:
    """Why `tw logs` can't show any."""
    return InputError(
        f"stack {context.env} runs in {', '.join(context.config.clouds)}: its logs are on its machines, and their clouds "
        f"show them. The controller's:\n  {logs_of(context)}\nFor edges and replicas see docs/operating.md. Why the "
        f"controller did something is in the state bucket: ./tw explain --stack {context.stack}"
    )


def no_page(context: Context) -> InputError:
    """Why there is no status page."""
    return InputError(
        f"stack {context.env} runs in {', '.join(context.config.clouds)}: its controller listens to edges only, so its "
        f"page can't be opened from here. `./tw status --watch --stack {context.stack}` shows what it says."
    )
