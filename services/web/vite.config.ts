import preact from "@preact/preset-vite";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [preact({ devToolsEnabled: false, prefreshEnabled: false })],
  build: {
    target: "es2022",
    // The page's policy allows no inline code.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: ["index.html", "docs.html", "pay.html"] },
  },
  server: {
    // `darkroom up --api-port 8080 --site http://localhost:5173`
    proxy: Object.fromEntries(
      ["/events", "/images", "/operations", "/orders", "/products", "/sessions", "/uploads", "/users", "/openapi.json"].map(
        (path) => [path, "http://127.0.0.1:8080"],
      ),
    ),
  },
});
