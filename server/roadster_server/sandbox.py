"""The settings of an embedded sandbox."""

from __future__ import annotations

from pydantic import SecretStr

from roadster_tools import TOOLSETS, Access

from .settings.defaults import LOCAL_CALLER
from .settings.sections.callers import CallerSettings, RoleSettings
from .settings.sections.dealers import DealerSettings
from .settings.sections.http import HttpSettings, WebhookSettings
from .settings.sections.people import PeopleSettings
from .settings.sections.stores import InventorySettings, StoreSettings
from .settings.sections.upstreams import MyKaarmaSettings, RoadieSettings, RoadsterSettings
from .settings.settings import Settings


def sandbox_settings(store_url: str) -> Settings:
    """Returns the settings of `--sandbox`. Its caller may write at two of the three dealers.

    The other one is the manager as whom people sign in to the pages: they may approve writes, and see the console.
    """
    from roadster_sandbox import API_KEY, BASE_PATHS, DEALERS, REQUESTER_USER_UUID, USERNAME  # noqa: PLC0415 - for start time

    urls = {api: f"https://sandbox{path}" for api, path in BASE_PATHS.items()}
    key = SecretStr(API_KEY)
    dealers = ["umazda", "hyundaidemo"]
    return Settings(
        roadster=RoadsterSettings(base_url=urls["roadster"], api_key=key),
        roadie=RoadieSettings(base_url=urls["roadie"], token=key),
        mykaarma=MyKaarmaSettings(
            base_url=urls["mykaarma"],
            username=SecretStr(USERNAME),
            password=key,
            requester_user_uuid=REQUESTER_USER_UUID,
        ),
        dealers={
            dealer.dpid: DealerSettings(
                partner_id=dealer.partner_id,
                state=dealer.state,
                express_host=dealer.express_host,
                link_key=SecretStr(dealer.link_key),
                # One order is left out, and all orders of the other dealers, to show how an order is refused.
                orders=[str(order_id) for order_id in dealer.orders[:-1]] if dealer.dpid == "umazda" else [],
                mykaarma_dealer_uuid=dealer.mykaarma_uuid,
                mykaarma_dealer_id=dealer.mykaarma_id,
            )
            for dealer in DEALERS
        },
        callers={
            LOCAL_CALLER: CallerSettings(dealers=dealers, access=dict.fromkeys(TOOLSETS, Access.WRITE)),
            "manager": CallerSettings(role="manager", dealers=dealers),
        },
        roles={
            "manager": RoleSettings(access=dict.fromkeys(TOOLSETS, Access.READ), approves=list(TOOLSETS), console=True)
        },
        people=PeopleSettings(local_caller="manager"),
        http=HttpSettings(anonymous_caller=LOCAL_CALLER),
        webhooks=WebhookSettings(roadster_keys=[key], roadie_keys=[key]),
        store=StoreSettings(url=SecretStr(store_url)),
        # A test resets the sandbox, and expects its new vehicles at once. The same calls have the same answers.
        inventory=InventorySettings(fresh_for=0),
    )
