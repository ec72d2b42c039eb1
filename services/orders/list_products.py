"""list-products: answers GET /products."""

from __future__ import annotations

from dataclasses import dataclass

from services.orders import api
from services.orders.products import Products
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class ListProducts:
    """Lists the products on sale."""

    products: Products

    def handle(self, _request: Request) -> Response:
        """Returns 200 with every product on sale, sorted by id."""
        found = [api.product(product) for product in self.products.on_sale()]
        return Response(200, api.Products(products=found))
