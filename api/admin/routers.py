"""All routers of the dashboard, in the order in which their paths must match."""

from api.admin import api, api_keys, forms, job_pages, pages
from api.admin.auth import login

ADMIN_ROUTERS = (
    login.router,
    api.overview_router,
    api.operations_router,
    api_keys.router,
    api_keys.page_router,
    job_pages.router,
    pages.router,
    forms.job_router,
    forms.operations_router,
    pages.fallback_router,
)
