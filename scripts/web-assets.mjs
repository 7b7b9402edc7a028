// Bundles styles and scripts, names every file by its content and compresses it. Called by build-web.sh.
//   node web-assets.mjs BINDINGS SITE    BINDINGS is what wasm-bindgen wrote
//   node web-assets.mjs --sizes SITE     one line: what travels to a browser
//   node web-assets.mjs --budget SITE    fails when a page's code is larger than it may be
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const BUDGET = { "a page": 150_000, "a page with charts": 300_000 };

if (process.argv[2]?.startsWith("--")) {
  const site = process.argv[3];
  const manifest = JSON.parse(readFileSync(join(site, "manifest.json"), "utf8"));
  const size = (name, ending) => statSync(join(site, "pkg", manifest[name] + ending)).size;
  const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
  const names = Object.keys(manifest);
  if (process.argv[2] === "--sizes") {
    console.log(names.map((name) => `${name} ${kilobytes(size(name, ".br"))} br, ${kilobytes(size(name, ".gz"))} gz`).join("; "));
    process.exit();
  }
  // By gzip, the larger of the two. Every script named chart… is loaded only where a chart is.
  const sum = (wanted) => names.filter(wanted).reduce((total, name) => total + size(name, ".gz"), 0);
  const code = (name) => /\.(js|wasm)$/.test(name);
  const sizes = {
    "a page": sum((name) => code(name) && !name.startsWith("chart")),
    "a page with charts": sum(code),
  };
  for (const [page, bytes] of Object.entries(sizes)) {
    console.log(`${page}: ${kilobytes(bytes)} of WebAssembly and scripts, at most ${kilobytes(BUDGET[page])}`);
    if (bytes > BUDGET[page]) process.exitCode = 1;
  }
  process.exit();
}

const esbuild = await import("esbuild");
const [bindings, site] = process.argv.slice(2);
const under = (folder, ending) => {
  try {
    return readdirSync(folder).filter((name) => name.endsWith(ending) && !name.endsWith(".d.ts")).map((name) => join(folder, name));
  } catch {
    return []; // No such folder: nothing to bundle.
  }
};
const shared = { bundle: true, minify: true, write: false, outdir: "/", target: "es2022", legalComments: "none", logLevel: "warning" };

// Images and fonts that a style sheet names are named by their content by esbuild itself.
const loader = { ".svg": "file", ".png": "file", ".woff2": "file" };
const [glue, assets] = await Promise.all([
  esbuild.build({ ...shared, entryPoints: [join(bindings, "slipway.js")], format: "esm" }),
  esbuild.build({
    ...shared, loader, format: "esm", assetNames: "[name].[hash]", publicPath: "/pkg", entryNames: "[name]",
    entryPoints: [...under("app/style", "main.css"), ...under("app/scripts", ".ts")],
  }),
]);

const hash = (...contents) => {
  const all = createHash("sha256");
  contents.forEach((content) => all.update(content));
  return all.digest("hex").slice(0, 12);
};
const outputs = [];
const wasm = readFileSync(join(bindings, "slipway_bg.wasm"));
const both = hash(glue.outputFiles[0].contents, wasm);
outputs.push({ name: "slipway.js", file: `slipway.${both}.js`, content: glue.outputFiles[0].contents });
outputs.push({ name: "slipway_bg.wasm", file: `slipway.${both}_bg.wasm`, content: wasm });
for (const { path, contents: content } of assets.outputFiles) {
  const name = basename(path);
  const ending = extname(name);
  const named = ending in loader ? name : `${basename(name, ending)}.${hash(content)}${ending}`;
  outputs.push({ name, file: named, content });
}

// Written beside and then moved, so that a server that reads this folder never sees half of it.
const fresh = join(site, ".pkg-new");
rmSync(fresh, { recursive: true, force: true });
mkdirSync(fresh, { recursive: true });
for (const { file, content } of outputs) {
  writeFileSync(join(fresh, file), content);
  writeFileSync(join(fresh, `${file}.gz`), gzipSync(content, { level: 9 }));
  writeFileSync(join(fresh, `${file}.br`), brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } }));
}
rmSync(join(site, "pkg"), { recursive: true, force: true });
renameSync(fresh, join(site, "pkg"));
const manifest = Object.fromEntries(outputs.map(({ name, file }) => [name, file]));
writeFileSync(join(site, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
