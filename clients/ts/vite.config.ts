// Builds the bundle of the page: one ES module without dependencies, readable, as it is committed.

import { defineConfig } from "vitest/config";

export default defineConfig({
  build: {
    lib: { entry: "src/index.ts", formats: ["es"], fileName: () => "plaudit-client.js" },
    outDir: process.env.PLAUDIT_BUNDLE_DIR ?? "dist",
    emptyOutDir: false,
    target: "es2022",
    minify: false,
    copyPublicDir: false,
    reportCompressedSize: false,
  },
  test: {
    include: ["test/**/*.test.ts"],
  },
});
