"""What to ask for next: markets, regions, zones and images in their order, less what the refusals so far rule out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import Market, Remedy, Rung
from hydra_plugins.hydra_ec2_launcher.cloud.refusals import advice


@dataclass(frozen=True)
class Ladder:
    """The rungs from the first choice down: market before region before zone before image."""

    markets: Sequence[Market]
    regions: Sequence[str]
    zones: Callable[[str], Sequence[str]]
    """the zones of a region; asked at each step for the regions reached so far, so hand in a cached one"""
    amis: Sequence[str]
    refusals: tuple[tuple[Rung, Remedy, str], ...] = ()
    """each refused rung, what its refusal leaves, and the cloud's code"""

    def next(self) -> Rung | None:
        """The first rung that no refusal rules out; None at the end."""
        return next((rung for rung in self._rungs() if not self._ruled_out(rung)), None)

    def after(self, rung: Rung, remedy: Remedy, code: str) -> "Ladder":
        """The ladder once this rung was refused, or its machine found unfit (NEXT_AMI)."""
        return replace(self, refusals=(*self.refusals, (rung, remedy, code)))

    @property
    def tried(self) -> tuple[tuple[Rung, str], ...]:
        """Each refused rung with its code, in order."""
        return tuple((rung, code) for rung, _, code in self.refusals)

    def _rungs(self) -> Iterator[Rung]:
        for market, region in product(self.markets, self.regions):
            for zone, ami in product(self.zones(region), self.amis):
                yield Rung(market=market, region=region, zone=zone, ami=ami)

    def _ruled_out(self, rung: Rung) -> bool:
        return any(_rules_out(refused, remedy, rung) for refused, remedy, _ in self.refusals)


def _rules_out(refused: Rung, remedy: Remedy, rung: Rung) -> bool:
    """Whether that refusal leaves no point in asking for this rung."""
    same_market = rung.market == refused.market
    same_region = rung.region == refused.region
    match remedy:
        case Remedy.NEXT_ZONE:
            return same_market and same_region and rung.zone == refused.zone
        case Remedy.NEXT_REGION:
            return same_market and same_region
        case Remedy.NEXT_MARKET:
            return same_market
        case Remedy.NEXT_AMI:
            # An id is known in one region alone; a parameter's name stands for the same image in all of them.
            regional = refused.ami.startswith("ami-")
            return rung.ami == refused.ami and (same_region or not regional)
        case Remedy.STOP:
            return True


class NoMachineError(ValueError):
    """No rung gave a machine; the message is the table of rungs and codes, and what can be done about them."""

    def __init__(self, tried: Sequence[tuple[Rung, str]]) -> None:
        table = refusal_table(tried) or "  remedy: no zone of rent.regions offers rent.instance_type: name others"
        super().__init__(f"no machine could be rented, {len(tried)} rungs were tried:\n{table}")
        self.tried = tuple(tried)


def refusal_table(tried: Sequence[tuple[Rung, str]]) -> str:
    """One line a rung with its code, then one line for each code that something can be done about."""
    rungs = [f"  {rung.market.value:9}  {rung.zone:15}  {rung.ami}  {code}" for rung, code in tried]
    codes = dict.fromkeys(code for _, code in tried)
    return "\n".join([*rungs, *(f"  remedy: {code}: {what}" for code in codes if (what := advice(code)))])
