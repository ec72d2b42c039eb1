"""list-stock: answers GET /operations/stock."""

from __future__ import annotations

from dataclasses import dataclass

from services.orders import console_api as api
from services.orders.model import StockLevel
from services.orders.products import Products
from services.platform.functions.http import Request, Response

_NONE = StockLevel(0, 0, 0)


@dataclass(frozen=True)
class ListStock:
    """Lists the products on sale with their stock."""

    products: Products

    def handle(self, _request: Request) -> Response:
        """Returns 200 with every product on sale, sorted by id."""
        levels = self.products.stock_levels()
        return Response(
            200,
            api.Stock(
                products=[
                    api.StockedProduct(
                        id=product.id,
                        name=product.name,
                        paper=product.paper,
                        price_minor=product.price_minor,
                        currency=product.currency,
                        on_hand=level.on_hand,
                        reserved=level.reserved,
                        sold=level.sold,
                    )
                    for product in self.products.on_sale()
                    if (level := levels.get(product.id, _NONE))
                ]
            ),
        )
