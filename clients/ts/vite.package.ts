// Builds the modules of the package: the client, and beside it the stubs with the binary subprotocol.

import { defineConfig } from "vite";

export default defineConfig({
  build: {
    lib: { entry: { "plaudit-client": "src/index.ts", proto: "src/proto/index.ts" }, formats: ["es"] },
    rollupOptions: { external: [/^@bufbuild\/protobuf/] },
    target: "es2022",
    minify: false,
    copyPublicDir: false,
    reportCompressedSize: false,
  },
});
