"""A sweep on a machine that is rented of the fake AWS, with canaries all around it; what the machine had is kept to be looked into."""

import json
import shutil
import sys

from tests.drills.page import ROOT
from tests.drills.planted_commands import Bench
from tests.runs import TINY

if str(ROOT / "tests" / "launcher") not in sys.path:
    sys.path[:0] = [str(ROOT / "tests" / "launcher"), str(ROOT / "tests")]

from aws_faults import FakeAws, Machine
from rented_bench import Bench as RentedBench
from rented_boxes import AMIS, RentedBoxes, metadata


class KeptBoxes(RentedBoxes):
    """Machines whose user data and disk are kept when they end."""

    def boot(self, machine: Machine) -> str:
        (self.folder / f"{machine.id}.user-data").write_text(machine.user_data)
        return super().boot(machine)

    def end(self, instance_id: str) -> None:
        if instance_id in self.live and self.root.exists():
            shutil.copytree(self.root, self.folder / f"{instance_id}.disk", symlinks=True, dirs_exist_ok=True)
        super().end(instance_id)


def rented_machine(bench: Bench) -> None:
    """The a10g launcher, whose project ignores its .env by now; every request to AWS is kept too."""
    folder = bench.planted.folder / "rented"
    folder.mkdir()
    with FakeAws() as aws:
        boxes = KeptBoxes(folder, aws)
        with metadata(boxes) as imds:
            rented = RentedBench(bench.planted.work, boxes, imds)
            keys = {**rented.keys, "travel.code": bench.planted.project, "rent.amis": f"[{AMIS['good']}]"}
            words = rented.launcher("a10g", keys)
            ours = (
                "AWS_ENDPOINT_URL",
                "AWS_ACCESS_KEY_ID",
                "AWS_DEFAULT_REGION",
                "AWS_EC2_METADATA_DISABLED",
                "no_proxy",
            )
            variables = {name: aws.environment[name] for name in ours}
            bench.run("launcher, rented", "train", "-m", *words, *TINY, "seed=1,2", "study=rented", variables=variables)
            for instance_id in list(boxes.live):
                boxes.end(instance_id)
        asked = [{"action": call.action, "region": call.region, **call.parameters} for call in aws.calls]
        (folder / "requests.json").write_text(json.dumps(asked, default=str))
