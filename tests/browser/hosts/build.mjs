// Bundles the pages of the hosts into the folder that is named: node build.mjs FOLDER

import { build } from "esbuild";

await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: ["appbridge.mjs", "mcp-ui.mjs"],
  bundle: true,
  define: { "process.env.NODE_ENV": '"production"' },
  format: "iife",
  logLevel: "error",
  outdir: process.argv[2],
  target: "es2022",
});
