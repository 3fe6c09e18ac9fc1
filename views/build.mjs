// Writes each view as one HTML document into the server's package. `--check` writes nothing, and names the stale ones.

import { createHash } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const DOCUMENTS = join(HERE, "..", "server", "roadster_server", "views");
const TITLES = { quote: "Quote", inventory: "Inventory", confirm: "Confirmation" };

// The SDK needs less than half of what its packages hold. Zod's texts in fifty languages are the largest part.
const lean = {
  name: "lean",
  setup(build) {
    build.onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, ({ path }) => ({
      contents: 'export { default as en } from "./en.js";',
      resolveDir: dirname(path),
    }));
    build.onResolve({ filter: /^[^.]/ }, async ({ path, pluginData, ...where }) => {
      if (pluginData === "resolved" || where.kind === "entry-point") return undefined;
      return { ...(await build.resolve(path, { ...where, pluginData: "resolved" })), sideEffects: false };
    });
  },
};

async function bundle(entry) {
  const result = await esbuild.build({
    absWorkingDir: HERE,
    entryPoints: [entry],
    bundle: true,
    charset: "utf8",
    format: "iife",
    legalComments: "none",
    metafile: true,
    minify: true,
    plugins: [lean],
    target: "es2022",
    write: false,
  });
  const packages = Object.keys(result.metafile.inputs)
    .map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1])
    .filter((name) => name !== undefined);
  return { text: result.outputFiles[0].text.trim(), packages };
}

function policy(script, style) {
  const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  return [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(style)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
}

function document(title, script, style) {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy(script, style)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<main id="view"></main>
<script>${script}</script>
</body>
</html>
`;
}

async function licences(packages) {
  const texts = [];
  for (const name of [...new Set(packages)].sort()) {
    const folder = join(HERE, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file === undefined ? "" : `\n${(await readFile(join(folder, file), "utf8")).trim()}\n`;
    texts.push(`${name} ${version} (${license})\n${text}`);
  }
  return `The views in this folder hold code of these packages.\n\n${texts.join("\n")}`;
}

async function build() {
  const style = (await bundle("src/style.css")).text;
  const files = {};
  const packages = [];
  for (const [name, title] of Object.entries(TITLES)) {
    const script = await bundle(`src/${name}.ts`);
    packages.push(...script.packages);
    files[`${name}.html`] = document(title, script.text, style);
  }
  return { ...files, "LICENSES.txt": await licences(packages) };
}

const stale = [];
for (const [name, text] of Object.entries(await build())) {
  const path = join(DOCUMENTS, name);
  if ((await readFile(path, "utf8").catch(() => "")) === text) continue;
  stale.push(relative(dirname(HERE), path));
  if (!process.argv.includes("--check")) await writeFile(path, text);
}
if (process.argv.includes("--check") && stale.length > 0) {
  console.error(`${stale.join(", ")}: stale; run make views`);
  process.exitCode = 1;
}
