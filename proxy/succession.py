"""How one policy follows another while the service runs."""

from proxy.delivery.outbox import Outbox
from proxy.engine import Engine
from proxy.policy.policy import Policy
from proxy.records import Records


class Succession:
    """Puts policies in force, with all that depends on what they say."""

    def __init__(self, engine: Engine, outbox: Outbox, records: Records) -> None:
        self._engine = engine
        self._outbox = outbox
        self._records = records

    async def prepare(self, policy: Policy) -> None:
        """Open what the policy needs before it is in force; raises `SetupFault`."""
        if any(service.delivery == "durable" for service in policy.services.values()):
            await self._outbox.start()

    async def take(self, policy: Policy) -> None:
        """Put a policy in force; raises `SetupFault`, and the former stays then."""
        await self.prepare(policy)
        await self._engine.take(policy)
        self._records.beside(self._engine)
