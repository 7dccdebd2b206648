"""What is kept of decisions: their numbers, the decision log, and how a shadow policy would have decided."""

from collections.abc import Awaitable, Callable, Sequence

from proxy.edge.metrics import Metrics
from proxy.engine import Engine
from proxy.gate import Watch
from proxy.policy.decision import Allow, Deny, Request
from proxy.policy.policy import Policy
from proxy.reload import Reload, usable
from proxy.review.journal import Journal
from proxy.review.shadow import Shadow
from proxy.settings import Settings
from proxy.stores.lines import Lines


class Records:
    """Everybody who watches decisions; `more` watches, too. Raises `SetupFault` for a shadow policy that cannot be used."""

    def __init__(self, settings: Settings, metrics: Metrics, clock: Callable[[], int], more: Watch | None) -> None:
        self.journal: Journal | None = None
        self.shadow: Shadow | None = None
        self.reload: Reload | None = None
        watches = [metrics.watch, *([more] if more else [])]
        if settings.decision_log:
            self.journal = Journal(Lines(settings.decision_log), lambda: self._policy, clock)
            watches.append(self.journal.watch)
        if settings.shadow_policies:
            policy = usable(settings.shadow_policies)
            self.shadow = Shadow(policy)
            self.reload = Reload(settings.shadow_policies, policy, self.shadow.take, name="shadow policy")
            watches.append(self.shadow.watch)
        self.watch = _each(watches)
        self._policy: Policy

    async def prepare(self) -> None:
        """Open the decision log; raises `SetupFault`."""
        if self.journal is not None:
            await self.journal.prepare()

    def beside(self, engine: Engine) -> None:
        """Follow the edition that is in force."""
        self._policy = engine.edition.policy
        if self.shadow is not None:
            self.shadow.beside(self._policy.facts, engine.edition.facts)

    @property
    def works(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """What runs as long as the service."""
        return [each.run for each in (self.journal, self.shadow, self.reload) if each is not None]


def _each(watches: Sequence[Watch]) -> Watch:
    if len(watches) == 1:
        return watches[0]

    def watch(request: Request, decision: Allow | Deny) -> None:
        for each in watches:
            each(request, decision)

    return watch
