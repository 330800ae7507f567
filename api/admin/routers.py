"""All routers of the dashboard, in the order in which their paths must match."""

from collections.abc import Iterator

from fastapi import APIRouter

from api.admin.api import operations_api_router, overview_api_router
from api.admin.api_keys import ApiKeys, keys_api_router, keys_page_router
from api.admin.auth.authentication import admin_user_dependency
from api.admin.auth.login import AddMetrics, login_router
from api.admin.auth.sessions import Sessions
from api.admin.bulk_actions import BulkActions
from api.admin.forms import job_forms_router, operation_forms_router
from api.admin.job_pages import job_pages_router
from api.admin.operations import Operations
from api.admin.overview import Overview
from api.admin.pages import admin_pages_router, fallback_router
from api.jobs.service import JobActions
from api.jobs.updates import JobUpdates
from api.web.result_links import ResultLinks
from api.webhooks.service import WebhookService
from shared.ports.access import ApiKeyStore


def admin_routers(
    overview: Overview,
    *,
    sessions: Sessions,
    keys: ApiKeyStore,
    job_actions: JobActions,
    webhooks: WebhookService,
    updates: JobUpdates,
    links: ResultLinks,
    add_metrics: AddMetrics,
) -> Iterator[APIRouter]:
    """The pages and the JSON."""
    authenticate = admin_user_dependency(sessions)
    bulk_actions = BulkActions(overview=overview, job_actions=job_actions, store=overview.store)
    operations = Operations(overview=overview, webhooks=webhooks)
    api_keys = ApiKeys(keys=keys, audit=overview.audit)
    yield login_router(sessions, overview.audit, add_metrics)
    yield overview_api_router(overview, updates=updates, authenticate=authenticate)
    yield operations_api_router(operations, bulk_actions, authenticate=authenticate)
    yield keys_api_router(api_keys, authenticate=authenticate)
    yield keys_page_router(api_keys, sessions=sessions, authenticate=authenticate)
    yield job_pages_router(overview, links=links, sessions=sessions, authenticate=authenticate)
    yield admin_pages_router(overview, sessions=sessions, authenticate=authenticate)
    yield job_forms_router(bulk_actions, sessions=sessions, authenticate=authenticate)
    yield operation_forms_router(operations, sessions=sessions, authenticate=authenticate)
    yield fallback_router(authenticate)
