"""The few actions of the console: revoke a token, release events, forget a customer. All of them are on record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from roadster_client.models.values import ID_PATTERN
from roadster_server.people.context import People
from roadster_server.people.forms import read_form

from .operator import Operator, enter, require_operator


def action_routes(people: People) -> list[Route]:
    actions = _Actions(people)
    return [
        Route("/people/console/actions", actions.show),
        Route("/people/console/revoke", actions.revoke, methods=["POST"]),
        Route("/people/console/release", actions.release, methods=["POST"]),
        Route("/people/console/forget", actions.forget, methods=["POST"]),
    ]


class _Actions:
    def __init__(self, people: People) -> None:
        self._people = people

    async def show(self, request: Request) -> Response:
        operator = await enter(self._people, request, "actions")
        return self._page(request, operator)

    async def revoke(self, request: Request) -> Response:
        """Revokes all tokens of a caller whose dealers the operator has, or of a person."""
        fields, operator = await self._begin(request, "revoke")
        who = fields.get("who", "")
        settings = self._people.settings
        if who in self._callers(operator):
            subjects = settings.callers[who].token_sha256
        elif operator.sees_everything and who.partition(":")[0] in settings.identity and who.partition(":")[2]:
            subjects = [who]
        else:
            text = "There is no such caller or person of your dealers. A person is written as PROVIDER:SUBJECT."
            return self._page(request, operator, problem=text)
        if not subjects:
            return self._page(request, operator, problem=f"{who} has no token, so nothing was revoked.")
        record = self._record(operator, "revoke", {"who": who})
        await (await self._people.calls.services.store.open()).revoke(subjects, record, now=datetime.now(UTC))
        news = f"Revoked: the tokens of {who}. Servers refuse them within two seconds."
        return self._page(request, operator, news=news)

    async def release(self, request: Request) -> Response:
        """Takes the events out of quarantine whose dealer is in the configuration by now."""
        _, operator = await self._begin(request, "release", needs_everything=True)
        store = await self._people.calls.services.store.open()
        await store.append(self._record(operator, "release", {}))
        count = await store.release_events(self._people.settings.dealers.keys(), now=datetime.now(UTC))
        rest = "" if count else " Those in quarantine are of dealers that the configuration does not have."
        return self._page(request, operator, news=f"Released: {count:,} events.{rest}")

    async def forget(self, request: Request) -> Response:
        """Deletes what the store has about one customer of a dealer of the operator, once they said so twice."""
        fields, operator = await self._begin(request, "forget")
        dealer, customer = fields.get("dealer", ""), fields.get("customer", "").strip()
        store = await self._people.calls.services.store.open()
        if dealer not in operator.visitor.caller.dealer_set or not re.fullmatch(ID_PATTERN, customer):
            text = "Name one of your dealers, and the number of a customer at Roadster. Nothing was deleted."
            return self._page(request, operator, problem=text)
        if fields.get("certain") != "yes":
            setting = operator.visitor.caller.setting("console")
            about = {"customer_id": int(customer)}
            await self._people.record(
                operator.visitor, "console forget question", setting=setting, dealer=dealer, arguments=about
            )
            return self._people.pages.render(
                request, "console/forget.html", operator=operator, dealer=dealer, customer=customer
            )
        # Hashed as an argument of a tool is: one search finds the calls about a customer and this deletion.
        record = self._record(operator, "forget", {"customer_id": int(customer)}, dealer=dealer)
        counts = await store.forget_customer(dealer, customer, record)
        news = (
            f"Deleted: {counts.events:,} events, {counts.ids:,} ids, {counts.search_entries:,} search entries, "
            f"{counts.approvals:,} approvals and {counts.files:,} files"
        )
        return self._page(request, operator, news=f"{news}. Roadster itself still has the customer.")

    async def _begin(
        self, request: Request, action: str, *, needs_everything: bool = False
    ) -> tuple[Mapping[str, str], Operator]:
        fields = await read_form(request, self._people.calls.services.keys.people)
        operator = await require_operator(self._people, request, action, needs_everything=needs_everything)
        return fields, operator

    def _record(self, operator: Operator, action: str, arguments: Mapping[str, Any], dealer: str | None = None) -> Any:
        setting = operator.visitor.caller.setting("console")
        return self._people.record_of(
            operator.visitor, f"console {action}", setting=setting, dealer=dealer, arguments=arguments
        )

    def _callers(self, operator: Operator) -> list[str]:
        """Returns the callers with tokens, all of whose dealers the operator has.

        Only an operator who sees everything has a caller without dealers.
        """
        settings = self._people.settings
        names = (name for name, caller in settings.callers.items() if caller.token_sha256)
        return sorted(name for name in names if operator.has(settings.caller_as_of_now(name)))

    def _page(self, request: Request, operator: Operator, *, news: str = "", problem: str = "") -> Response:
        return self._people.pages.render(
            request,
            "console/actions.html",
            400 if problem else 200,
            operator=operator,
            news=news,
            problem=problem,
            callers=self._callers(operator),
            dealers=sorted(operator.visitor.caller.dealers),
        )
