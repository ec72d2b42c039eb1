"""list-products: answers GET /products."""

from __future__ import annotations

from dataclasses import dataclass

from services.orders import api
from services.orders.store import Orders
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class ListProducts:
    """Lists the products on sale."""

    orders: Orders

    def handle(self, _request: Request) -> Response:
        """Returns 200 with every product on sale, sorted by id."""
        found = [api.product(product) for product in self.orders.products()]
        return Response(200, api.Products(products=found))
